// watch_page.mjs BASE EVENT STREAM ORGANIZER EMAIL PASSWORD [FOLDER]: watches EVENT on the page /watch/EVENT as the attendee of EMAIL, while STREAM is
// live; the holder of the token ORGANIZER ends it. The player comes from NODE_PATH in place of its CDN. Pictures go to FOLDER.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { browser } from './browser.mjs';

const [base, event, stream, organizer, email, password, folder] = process.argv.slice(2);
const call = async (method, path, body) => {
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${organizer}` };
  const response = await fetch(`${base}/api/${path}`, { method, headers, body: body && JSON.stringify(body) });
  const answer = await response.json();
  assert.ok(response.ok, `${path}: ${JSON.stringify(answer)}`);
  return answer;
};
const player = readFileSync(join(process.env.NODE_PATH, 'hls.js/dist/hls.light.min.js'));

const opened = await browser();
try {
  const page = await opened.newPage();
  const [faults, asked] = [[], []];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  page.on('request', (request) => asked.push(request.url()));
  await page.route('https://cdn.jsdelivr.net/**', (route) => route.fulfill({
    body: player, contentType: 'text/javascript', headers: { 'Access-Control-Allow-Origin': '*' },
  }));
  const fits = async (name) => {
    for (const width of [320, 390, 1280]) {
      await page.setViewportSize({ width, height: 800 });
      const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(over, 0, `${name} is wider than a screen of ${width}`);
      if (folder) await page.screenshot({ path: `${folder}/${name}-${width}.png`, fullPage: true });
    }
  };
  const says = (id, words) => page.waitForFunction(([id, words]) => document.getElementById(id).textContent.includes(words), [id, words]);
  /** The pictures move: so many of them were shown. */
  const moves = async (frames) => {
    const before = await page.evaluate(() => document.getElementById('video').getVideoPlaybackQuality().totalVideoFrames);
    await page.waitForFunction((wanted) => document.getElementById('video').getVideoPlaybackQuality().totalVideoFrames > wanted, before + frames);
    return page.evaluate(() => document.getElementById('video').currentTime);
  };

  await page.goto(`${base}/watch/${event}`);
  await says('state', 'open');
  await fits('watch-signing-in');
  await page.getByLabel('E-mail address').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await says('title', 'Main stage');
  const first = await moves(15);
  assert.ok(await moves(15) > first, 'it goes on');
  assert.ok(asked.some((url) => url.includes('.m4s?e=')), 'it plays what was sent');
  await says('viewers', '1 person is watching');
  await page.getByLabel('Message').fill('Hello <b>all</b> 👋');
  await page.getByRole('button', { name: 'Send' }).click();
  await says('chat', 'Hello <b>all</b> 👋');
  assert.ok(await page.locator('#live').isVisible());
  await fits('watching-live');

  // It ends: the recording can be watched, and what comes next is shown.
  await call('POST', `organiser/events/${event}/streams`, { title: 'Panel', kind: 'meeting', url: 'https://meet.example.org/x', starts_at: new Date(Date.now() + 3600_000).toISOString() });
  await call('POST', `organiser/events/${event}/streams/${stream}/end`, {});
  await says('wait', 'Panel');
  await says('wait', '00:59:');
  await says('next', 'Next: Panel');
  await fits('watch-waiting');
  await page.getByRole('button', { name: 'Watch again: Main stage' }).click();
  await moves(15);
  assert.ok(asked.some((url) => url.includes('/replay.m3u8')));
  assert.ok(await page.locator('#live').isHidden());
  await fits('watch-replay');
  // Playlists that were asked for before there was a segment, or after the end, are no mistakes of the page.
  const real = faults.filter((fault) => !fault.includes('status of 4'));
  assert.deepEqual(real, []);
} finally {
  await opened.close();
}

// latency.mjs BASE EVENT EMAIL PASSWORD SECONDS: watches EVENT on the page /watch/EVENT as the attendee of EMAIL, and prints as JSON how many milliseconds
// old each picture is when it is shown. The pictures have the time at which they were made: 20 columns, each a bit of its milliseconds, the lowest on the left.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { browser } from './browser.mjs';

const [base, event, email, password, seconds] = process.argv.slice(2);
const player = readFileSync(join(process.env.NODE_PATH, 'hls.js/dist/hls.light.min.js'));
const opened = await browser();
try {
  const page = await opened.newPage();
  await page.route('https://cdn.jsdelivr.net/**', (route) => route.fulfill({
    body: player, contentType: 'text/javascript', headers: { 'Access-Control-Allow-Origin': '*' },
  }));
  await page.goto(`${base}/watch/${event}`);
  await page.getByLabel('E-mail address').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  const shown = (wanted) => document.getElementById('video').getVideoPlaybackQuality().totalVideoFrames > wanted;
  // The player has found its distance to the live edge.
  await page.waitForFunction(shown, 100, { timeout: 60_000 });
  const ages = await page.evaluate((seconds) => new Promise((resolve) => {
    const video = document.getElementById('video');
    const [columns, width, range] = [20, 16, 2 ** 20];
    const canvas = Object.assign(document.createElement('canvas'), { width: columns * width, height: 1 });
    const pixels = canvas.getContext('2d', { willReadFrequently: true });
    const [ages, until] = [[], Date.now() + seconds * 1_000];
    const look = () => {
      const now = Date.now();
      pixels.drawImage(video, 0, video.videoHeight / 2, columns * width, 1, 0, 0, columns * width, 1);
      const { data } = pixels.getImageData(0, 0, columns * width, 1);
      let made = 0;
      for (let bit = 0; bit < columns; bit += 1) if (data[(bit * width + width / 2) * 4] > 127) made += 2 ** bit;
      ages.push(((now - made) % range + range) % range);
      if (now > until) resolve(ages);
      else video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  }), Number(seconds));
  process.stdout.write(JSON.stringify(ages));
} finally {
  await opened.close();
}

// live_page.mjs BASE EVENT ORGANIZER EMAIL PASSWORD OTHER [FOLDER]: follows EVENT on the page /live/EVENT, as nobody and as the attendee of EMAIL, while the
// holder of the token ORGANIZER and another person (OTHER) act. It fits phones and desks; pictures go to FOLDER. NODE_PATH has what package.json names.
import assert from 'node:assert/strict';
import { browser } from './browser.mjs';

const [base, event, organizer, email, password, other, folder] = process.argv.slice(2);
const call = async (token, method, path, body) => {
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` };
  const response = await fetch(`${base}/api/${path}`, { method, headers, body: body && JSON.stringify(body) });
  const answer = await response.json();
  assert.ok(response.ok, `${path}: ${JSON.stringify(answer)}`);
  return answer;
};
const live = (rest) => `live/events/${event}/${rest}`;

const opened = await browser();
try {
  const page = await opened.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  const fits = async (name) => {
    for (const width of [320, 390, 1280]) {
      await page.setViewportSize({ width, height: 800 });
      const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(over, 0, `${name} is wider than a screen of ${width}`);
      if (folder) await page.screenshot({ path: `${folder}/${name}-${width}.png`, fullPage: true });
    }
  };
  const says = (id, words) => page.waitForFunction(([id, words]) => document.getElementById(id).textContent.includes(words), [id, words]);

  await page.goto(`${base}/live/${event}`);
  await says('state', 'open');
  await says('of', 'of 10 seats left');
  // Seats go down while it is watched.
  await call(other, 'POST', 'reg/register_event', { event_id: event });
  await says('left', '8');
  await fits('watching');

  await page.getByLabel('E-mail address').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByLabel('Message').fill('Hello <b>all</b> 👋');
  await page.getByRole('button', { name: 'Send' }).click();
  await says('chat', 'Hello <b>all</b> 👋');
  await call(other, 'POST', live('chat'), { text: 'नमस्ते, welcome!' });
  await says('chat', 'नमस्ते');
  await page.getByLabel('Question', { exact: true }).fill('Will it be recorded?');
  await page.getByRole('button', { name: 'Ask' }).click();
  await says('questions', 'Will it be recorded?');
  await page.getByRole('button', { name: 'Vote for' }).click();
  await says('questions', 'Voted: 1');
  const poll = await call(organizer, 'POST', live('polls'), { question: 'Where next?', options: ['Pune', 'Online'] });
  await call(organizer, 'POST', live(`polls/${poll.poll_id}/open`));
  await says('polls', 'Where next?');
  await page.getByRole('button', { name: 'Pune' }).click();
  await says('polls', 'Pune (your vote)1');
  assert.ok(await page.getByLabel('Password').isHidden());
  await call(organizer, 'POST', live('announcements'), { text: 'We begin in five minutes.' });
  await says('announcements', 'We begin in five minutes.');
  await page.getByRole('button', { name: '👏' }).click();
  await says('reactions', '👏 1');
  await call(organizer, 'PUT', live('chat/mode'), { mode: 'slow', slow_seconds: 30 });
  await says('mode', 'one message in 30 s');
  await says('people', 'You are here.');
  await fits('taking-part');

  // The organizer has a word.
  const [mine] = (await call(organizer, 'GET', live('chat'))).filter(({ user }) => user.role === 'attendee' && user.name === 'Asha Rao');
  await call(organizer, 'DELETE', live(`chat/${mine.message_id}`), {});
  await page.waitForFunction(() => !document.getElementById('chat').textContent.includes('Hello'));
  await call(organizer, 'POST', live(`bans/${mine.user.user_id}`), { kind: 'ban' });
  await says('said', 'You do not take part any more.');
  await call(organizer, 'PATCH', `organiser/events/${event}`, { e_name: 'A better name' });
  await says('name', 'A better name');
  assert.deepEqual(faults, []);
} finally {
  await opened.close();
}

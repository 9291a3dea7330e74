// account.mjs BASE [FOLDER]: signs up, and does with a browser what the letters about the account ask for: confirms the address,
// and sets a new password, by the link and by the code. Each page fits phones and desks; pictures of them go to FOLDER.
// NODE_PATH has what package.json names; TMPDIR takes the browser (200 MB).
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { browser } from './browser.mjs';

const [base, folder] = process.argv.slice(2);
const email = `asha-${randomUUID()}@example.org`;
const call = async (path, body, token) => {
  const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
  const response = await fetch(base + path, { method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body) });
  return response.json();
};
const signIn = async (password) => (await call('/api/users/login', { email, password })).token;

/** The newest letter of a kind: the path of its link, and its code. */
async function letter(kind, number) {
  for (let tries = 0; tries < 150; tries++) {
    const letters = (await call(`/dev/mailbox.json?to=${encodeURIComponent(email)}`)).filter((one) => one.kind === kind);
    if (letters.length >= number) {
      const text = await (await fetch(`${base}/dev/mailbox/${letters[0].id}?text=1`)).text();
      return { link: text.match(/^https?:\/\/[^/]+(\/\S+)$/m)[1], code: text.match(/^\d{8}$/m)[0] };
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no ${kind} for ${email}`);
}

const opened = await browser();
try {
  const page = await opened.newPage();
  page.on('pageerror', (error) => { throw error; });
  const fits = async (name) => {
    for (const width of [320, 390, 1280]) {
      await page.setViewportSize({ width, height: 800 });
      const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(over, 0, `${name} is wider than a screen of ${width}`);
      if (folder) await page.screenshot({ path: `${folder}/${name}-${width}.png` });
    }
  };
  const says = (words) => page.waitForFunction((words) => document.querySelector('[role=status]').textContent.includes(words), words);

  await call('/api/users/register', { email, password: 'the first good one', role: 'user' });
  const { link } = await letter('verify_email', 1);
  await page.goto(base + link);
  assert.ok(!page.url().includes('token'), 'the token stays in the address bar');
  await fits('verify');
  let me = await call('/api/users/me', undefined, await signIn('the first good one'));
  assert.equal(me.email_verified, false, 'opening the link has confirmed the address');
  await page.getByRole('button').click();
  await says('is confirmed');
  await fits('verified');
  me = await call('/api/users/me', undefined, await signIn('the first good one'));
  assert.equal(me.email_verified, true);
  await page.goto(base + link);
  await page.getByRole('button').click();
  await says('was used');

  await call('/api/users/password/forgot', { email });
  await page.goto(base + (await letter('password_reset', 1)).link);
  await page.getByLabel('New password').fill('the second good one');
  await fits('reset');
  await page.getByRole('button').click();
  await says('Sign in with it');
  assert.ok(await signIn('the second good one'));

  await call('/api/users/password/forgot', { email });
  const { code } = await letter('password_reset', 2);
  await page.goto(`${base}/reset-password`);
  await page.getByLabel('E-mail address').fill(email);
  await page.getByLabel('Code').fill(`${code.slice(0, 4)} ${code.slice(4)}`);
  await page.getByLabel('New password').fill('the third good one');
  await fits('reset-by-code');
  await page.getByRole('button').click();
  await says('Sign in with it');
  assert.ok(await signIn('the third good one'));
} finally {
  await opened.close();
}

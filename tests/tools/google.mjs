// google.mjs BASE PORT [FOLDER|browser]: an OpenID provider on PORT (oauth2-mock-server, in Google's place) and people who sign in with
// it at the system at BASE: by plain requests; with a third argument also in a browser, from a page of another origin, whose
// pictures go to FOLDER. NODE_PATH has what package.json names; TMPDIR takes the browser (200 MB).
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [base, port, folder] = process.argv.slice(2);
const installed = join(process.env.NODE_PATH, 'oauth2-mock-server/dist/index.js');
const { OAuth2Server } = await import(pathToFileURL(installed));

const provider = new OAuth2Server();
await provider.issuer.keys.generate('RS256');
provider.issuer.url = `http://127.0.0.1:${port}`;
await provider.start(Number(port), '127.0.0.1');
let claims;
provider.service.on('beforeTokenSigning', (token) => Object.assign(token.payload, { aud: 'client-of-tests', ...claims }));
const person = () => {
  const sub = randomUUID();
  claims = { sub, email: `asha-${sub}@example.org`, email_verified: true, name: 'Asha Rao' };
  return claims;
};

/** A browser without a screen: follows redirects, and keeps this site's cookies. */
function visitor() {
  const jar = new Map();
  return async function visit(url) {
    for (let hops = 0; hops < 6; hops++) {
      const cookie = url.startsWith(base) ? [...jar].map((pair) => pair.join('=')).join('; ') : '';
      const response = await fetch(url, { redirect: 'manual', headers: { cookie } });
      for (const [, secret] of `${url}&${cookie}`.matchAll(/(?:state|code|nonce|link_token|oe_browser)=([^&;]{16,})/g)) console.log(secret);
      for (const set of response.headers.getSetCookie()) {
        const [name, value] = set.split(';')[0].split('=');
        jar.set(name, value);
      }
      const to = response.headers.get('location');
      if (!to || to.startsWith('http://localhost:1/')) return { response, to };
      await response.arrayBuffer();
      url = new URL(to, url).href;
    }
    throw new Error('too many redirects');
  };
}
const post = async (path, body) => {
  const headers = { 'Content-Type': 'application/json' };
  const response = await fetch(base + path, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: response.status, ...(await response.json()) };
};
const me = async (token) => (await fetch(`${base}/api/users/me`, { headers: { Authorization: `Bearer ${token}` } })).json();
const start = `${base}/api/users/oauth/google`;

try {
  // New: an account, with the role that was asked for; later the same one.
  const asha = person();
  const visit = visitor();
  const first = await (await visit(`${start}?role=organizer`)).response.json();
  assert.deepEqual([first.message, first.role, first.email_verified], ['Login successful.', 'organizer', true], JSON.stringify(first));
  assert.equal((await me(first.token)).email, asha.email);
  const again = await (await visit(start)).response.json();
  assert.equal(again.user_id, first.user_id);

  // To a page, with a code; of twenty at once one gets the tokens.
  const { to } = await visit(`${start}?return_to=${encodeURIComponent('http://localhost:1/in?x=1')}`);
  const code = new URL(to).searchParams.get('code');
  const answers = await Promise.all(Array.from({ length: 20 }, () => post('/api/users/oauth/exchange', { code })));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(19).fill(401)]);

  // An account whose address is verified is linked by its password.
  const { email } = person();
  await post('/api/users/register', { email, password: 'a good one', role: 'user' });
  let text;
  for (let tries = 0; !text && tries < 150; tries++) {
    const [letter] = await (await fetch(`${base}/dev/mailbox.json?to=${encodeURIComponent(email)}`)).json();
    if (letter) text = await (await fetch(`${base}/dev/mailbox/${letter.id}?text=1`)).text();
    else await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await post('/api/users/email/verify', { email, token: text.match(/^\d{8}$/m)[0] });
  const asked = await (await visitor()(start)).response.json();
  assert.equal(asked.code, 'link_required', JSON.stringify(asked));
  const linked = await post('/api/users/oauth/link', { link_token: asked.link_token, password: 'a good one' });
  assert.equal(linked.status, 200, JSON.stringify(linked));
  assert.equal((await (await visitor()(start)).response.json()).user_id, linked.user_id);

  // One that nobody has verified goes to who proves the address.
  const taken = person();
  await post('/api/users/register', { email: taken.email, password: 'a squatter has it', role: 'user' });
  const squatter = await post('/api/users/login', { email: taken.email, password: 'a squatter has it' });
  const owner = await (await visitor()(start)).response.json();
  assert.equal(owner.user_id, squatter.user_id);
  assert.equal((await post('/api/users/login', { email: taken.email, password: 'a squatter has it' })).status, 401);
  for (let tries = 0; (await me(squatter.token)).code !== 'session_ended'; tries++) {
    assert.ok(tries < 100, 'the squatter is still signed in');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  claims = { ...person(), email_verified: false };
  assert.equal((await (await visitor()(start)).response.json()).code, 'google_email_unverified');

  if (folder) await inABrowser();
} finally {
  await provider.stop();
}

/** A frontend of another origin signs somebody in. */
async function inABrowser() {
  const { browser } = await import('./browser.mjs');
  const ben = person();
  const page = `<!doctype html><title>Frontend</title><a href="${start}?return_to=http://localhost:PORT/in">Sign in with Google</a><p id="who"></p>
    <script>
      const code = new URLSearchParams(location.search).get('code');
      if (code) fetch('${base}/api/users/oauth/exchange', {
        method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ code }),
      }).then((answer) => answer.json()).then(({ token }) => fetch('${base}/api/users/me', { headers: { Authorization: 'Bearer ' + token } }))
        .then((answer) => answer.json()).then((me) => { who.textContent = 'Hello ' + me.name + ' <' + me.email + '>'; });
    </script>`;
  const frontend = createServer((_, response) => {
    response.setHeader('Content-Type', 'text/html').end(page.replace('PORT', frontend.address().port));
  });
  await new Promise((resolve) => frontend.listen(0, 'localhost', resolve));
  const opened = await browser();
  try {
    const tab = await opened.newPage({ viewport: { width: 390, height: 400 } });
    tab.on('pageerror', (error) => { throw error; });
    await tab.goto(`http://localhost:${frontend.address().port}/`);
    await tab.getByRole('link').click();
    await tab.waitForFunction(() => document.querySelector('#who')?.textContent.startsWith('Hello'));
    assert.equal(await tab.locator('#who').textContent(), `Hello Asha Rao <${ben.email}>`);
    const [cookie] = await tab.context().cookies(base);
    assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, 'Lax']);
    if (folder !== 'browser') await tab.screenshot({ path: `${folder}/google.png` });
  } finally {
    await opened.close();
    frontend.close();
  }
}

// live_client.mjs BASE EVENT ORGANIZER EMAIL PASSWORD: the client of clients/js in Node: reads, writes, comes back after breaks, recovers, renews
// its token. ORGANIZER is the token of EVENT's organizer; the account of EMAIL takes part. Its tokens run out after 61 s.
import assert from 'node:assert/strict';
import { LiveClient, LiveError } from '../../clients/js/live.js';

const [base, event, organizer, email, password] = process.argv.slice(2);
const call = async (path, body, token) => {
  const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
  const response = await fetch(`${base}/api/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  assert.ok(response.ok, `${path}: ${response.status}`);
  return response.json();
};
const login = () => call('users/login', { email, password });
const { token: fresh, user_id: user } = await login();
const channel = (topic) => `event:${event}${topic ? `:${topic}` : ''}`;
const deadline = setTimeout(() => { console.error('not within 60 s'); process.exit(1); }, 60_000);
const until = async (holds, what) => {
  for (let tries = 0; tries < 600; tries++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`never: ${what}`);
};

/** WebSockets that a test can cut. */
const sockets = [];
class Cut extends WebSocket {
  constructor(...all) { super(...all); sockets.push(this); }
}
const cut = () => sockets.at(-1).close();

const asked = [];
const states = [];
const reader = new LiveClient(base, {
  WebSocket: Cut,
  shortest: 50,
  token: ({ renew }) => { asked.push(renew); return renew || asked.length > 2 ? fresh : 'no token'; },
  onState: (state) => states.push(state),
});
const heard = [];
let joined = 0;
let resets = 0;
const end = reader.subscribe(channel('chat'), {
  onJoined: ({ state }) => { joined += 1; assert.equal(state.mode, 'open'); },
  onReset: () => { resets += 1; },
  onPublication: (publication) => heard.push(publication),
  onError: (error) => { throw error; },
});
assert.throws(() => reader.subscribe(channel('chat')), LiveError);
await until(() => joined === 1, 'it reads');
assert.deepEqual(asked.slice(0, 2), [false, true], 'a token that is refused is replaced');

// What is said while it is away is there when it is back, once and in order.
const writer = new LiveClient(base, { token: () => fresh, shortest: 50 });
const say = (text, options) => writer.publish(channel('chat'), { text }, options);
const first = await say('one', { key: 'k1' });
assert.deepEqual(await say('one', { key: 'k1' }), first, 'said once under one key');
await until(() => heard.length === 1, 'it hears');
for (let round = 0; round < 3; round++) {
  cut();
  await say(`away ${round}`);
  await say(`still away ${round}`);
  await until(() => heard.length === 3 + 2 * round, 'it catches up');
}
assert.deepEqual(heard.map(({ offset }) => offset), [1, 2, 3, 4, 5, 6, 7]);
assert.equal(resets, 0);
assert.ok(states.includes('open') && states.at(-1) === 'open');

// What is said without a connection is said when there is one.
cut();
const later = await reader.publish(channel('chat'), { text: 'said in a break' });
assert.equal(later.offset, 8);

// Refusals are told.
await assert.rejects(say(' '), ({ code }) => code === 'bad_request');
await assert.rejects(writer.publish(channel('polls'), { text: 'x' }), ({ code }) => code === 'forbidden');
const refused = await new Promise((resolve) => { reader.subscribe('event:none', { onError: resolve }); });
assert.equal(refused.code, 'unknown_channel');
for (let count = 0; count !== 1;) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  ({ count } = await reader.presence(channel('chat')));
}
// Ended and begun again at once, it is read once.
end();
let again = 0;
const more = [];
reader.subscribe(channel('chat'), { onJoined: () => { again += 1; }, onPublication: (publication) => more.push(publication) })();
const ended = reader.subscribe(channel('chat'), { onJoined: () => { again += 1; }, onPublication: (publication) => more.push(publication) });
await until(() => again === 1, 'it reads again');
await say('heard again');
await until(() => more.length === 1, 'it hears again');
ended();
await until(() => reader.presence(channel('chat')).then(() => false, (error) => error.code === 'not_subscribed'), 'it reads no more');
await say('not heard');

// Closed and opened again while a token is waited for, there is one connection.
let give;
const two = [];
const slow = new LiveClient(base, {
  token: () => new Promise((resolve) => { give ??= resolve; if (give !== resolve) resolve(fresh); }),
  onState: (state) => two.push(state),
});
slow.subscribe(channel(), {});
slow.close();
slow.open();
slow.subscribe(channel(), {});
give(fresh);
await until(() => two.at(-1) === 'open', 'it opens once');

// The server says that the token runs out; another one is taken, once for each.
const renewals = [];
const long = new LiveClient(base, {
  token: async ({ renew }) => { renewals.push(renew); return renew ? (await login()).token : fresh; },
});
let revoked = false;
await new Promise((resolve, reject) => {
  long.subscribe(channel('chat'), { onJoined: resolve, onError: reject, onRevoked: () => { revoked = true; } });
});
await until(() => renewals.filter(Boolean).length >= 2, 'the token is renewed');
assert.equal(long.state, 'open');
assert.ok(renewals.length < 10, `${renewals.length} tokens`);

// Who is banned is told, and stays on what anyone may read.
await call(`live/events/${event}/bans/${user}`, { kind: 'ban' }, organizer);
await until(() => revoked, 'the ban');
assert.equal(long.state, 'open');
long.close();
slow.close();
assert.throws(() => long.subscribe(channel()), ({ code }) => code === 'closed');
await assert.rejects(long.publish(channel('chat'), { text: 'x' }), ({ code }) => code === 'closed');
const states2 = [];
const nobody = new LiveClient(base, { token: () => 'no token', onState: (state, why) => states2.push([state, why?.code]) });
nobody.subscribe(channel());
await until(() => states2.at(-1)?.[0] === 'closed', 'a token that is refused twice ends it');
assert.equal(states2.at(-1)[1], 'unauthorized');
assert.ok(![...heard, ...more].some(({ data }) => data.text === 'not heard'));
reader.close();
writer.close();
assert.equal(reader.state, 'closed');
clearTimeout(deadline);

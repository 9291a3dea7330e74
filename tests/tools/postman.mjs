// postman.mjs BASE DATA_DIR [--save]: runs the Postman collection against the system at BASE, with the secrets in DATA_DIR that
// Razorpay signs with. Each operation of /openapi.json must be in it with an example of a success, and each saved example
// must be like what was answered now: the status, the content type, the names of the fields. --save saves what was answered
// where that is not so. NODE_PATH has newman.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const [base, data, save] = process.argv.slice(2);
const newman = createRequire(import.meta.url)(join(process.env.NODE_PATH, 'newman'));
const file = fileURLToPath(new URL('../../postman/Organise_Event.postman_collection.json', import.meta.url));
const collection = JSON.parse(readFileSync(file, 'utf8'));
const requests = collection.item.flatMap((folder) => folder.item);
const secret = (name) => ({ key: name, value: readFileSync(join(data, name), 'utf8').trim() });

const summary = await new Promise((resolve, reject) => {
  const options = {
    collection: structuredClone(collection),
    envVar: [{ key: 'base_url', value: base }, secret('razorpay_key_secret'), secret('razorpay_webhook_secret')],
    reporters: ['cli'],
    color: 'off',
    timeoutRequest: 30000,
  };
  newman.run(options, (error, summary) => (error ? reject(error) : resolve(summary)));
});
const faults = summary.run.failures.map(({ source, error }) => `${source.name}: ${error.message}`);
const failed = new Set(summary.run.failures.map(({ source }) => source.name));

// What is the same in every run of the same story: which fields there are, and of lists what their first element has.
function shape(value) {
  if (Array.isArray(value)) return value.slice(0, 1).map(shape);
  if (value === null || typeof value !== 'object') return null;
  return Object.fromEntries(Object.keys(value).sort().map((name) => [name, shape(value[name])]));
}
// Playlists are none.
function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
const like = (example) => {
  const type = example.header.find(({ key }) => key.toLowerCase() === 'content-type')?.value;
  return JSON.stringify([example.code, type, shape(json(example.body) ?? null)]);
};

const OF_THE_CONNECTION = ['connection', 'content-encoding', 'content-length', 'date', 'keep-alive', 'transfer-encoding', 'vary'];
function exampleOf(request, answer) {
  const { method, header, body, url } = request.request;
  const headers = answer.headers.all().filter(({ key }) => !OF_THE_CONNECTION.includes(key.toLowerCase()));
  const isBinary = /^(application\/pdf|image\/)/.test(answer.headers.get('content-type') ?? '');
  const text = isBinary ? '<the file>' : answer.text().replace(/\bs=[\w-]{20,}/g, 's=<token>').replace(/(\/calendar\/)[\w-]{20,}/g, '$1<token>');
  const content = json(text);
  // Who looks for leaked secrets need not look at them.
  for (const name of ['token', 'api_key', 'refresh_token', 'secret', 'otpauth_url', 'qr_svg', 'ticket', 'stream_key']) if (typeof content?.[name] === 'string') content[name] = `<the ${name}>`;
  return {
    name: `${answer.code} ${answer.reason()}`,
    originalRequest: { method, header, ...(body && { body }), url },
    status: answer.reason(),
    code: answer.code,
    _postman_previewlanguage: content === undefined ? 'text' : 'json',
    header: headers.map(({ key, value }) => ({ key, value })),
    cookie: [],
    body: content === undefined ? text : JSON.stringify(content, null, 2),
  };
}

for (const request of requests) {
  // A request that is repeated until something has come: its last answer.
  const answer = summary.run.executions.findLast(({ item }) => item.name === request.name)?.response;
  if (!answer) {
    faults.push(`${request.name}: was not sent, or not answered`);
    continue;
  }
  const now = exampleOf(request, answer);
  const same = request.response.length === 1 && like(request.response[0]) === like(now);
  const asked = JSON.stringify(request.response[0]?.originalRequest) === JSON.stringify(now.originalRequest);
  if ((same && asked) || failed.has(request.name)) continue;
  if (save) request.response = [now];
  else faults.push(`${request.name}: the saved example is not like the answer, ${like(now)}; postman.mjs --save saves it`);
}

// What needs a Google account and a browser, a provider of text messages or a letter's link, or never ends: here it is shown how it is refused.
const REFUSED_HERE = ['/api/notifications/unsubscribe', '/api/notifications/webhooks/twilio', '/api/notifications/webhooks/msg91', '/api/users/oauth/google', '/api/users/oauth/google/callback', '/api/users/oauth/exchange', '/api/users/oauth/link', '/api/live/sse', '/api/live/ws'];
const document = await (await fetch(`${base}/openapi.json`)).json();
for (const [path, operations] of Object.entries(document.paths)) {
  const wanted = path.slice(1).split('/');
  for (const method of Object.keys(operations)) {
    const saved = requests.some(({ request, response }) =>
      request.method === method.toUpperCase() &&
      request.url.path.length === wanted.length &&
      wanted.every((part, at) => part.startsWith('{') || part === request.url.path[at]) &&
      response.some(({ code }) => code < 300 || REFUSED_HERE.includes(path)));
    if (!saved) faults.push(`${method.toUpperCase()} ${path}: not in the collection with an example of a success`);
  }
}

if (save) writeFileSync(file, `${JSON.stringify(collection, null, '\t')}\n`);
faults.forEach((fault) => console.error(fault));
process.exitCode = faults.length ? 1 : 0;

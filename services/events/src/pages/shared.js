// What the pages share: calls, the session, and showing things. `LiveClient` stands above.
const at = (id) => document.getElementById(id);
const [, root, event] = location.pathname.match(/^(.*?)\/(?:live|watch)\/([^/]+)\/?$/);
const channel = (topic) => `event:${event}${topic ? `:${topic}` : ''}`;
const EMOJI = ['👏', '❤️', '🎉', '😂', '🔥', '👍'];
let session = null;
const messages = new Map();

async function call(method, path, body) {
  const headers = { ...(body && { 'Content-Type': 'application/json' }), ...(session && { Authorization: `Bearer ${session.token}` }) };
  const response = await fetch(`${root}/api/${path}`, { method, headers, body: body && JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail ?? answer.message);
  return answer;
}
const live = (rest) => `live/events/${event}/${rest}`;
const tell = (text) => { at('said').textContent = text; };
const trying = (doing) => Promise.resolve().then(doing).then(() => tell(''), (error) => tell(error.message));

/** An element with text, never HTML. */
function element(name, text, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

/**
 * Shows items in their order as elements of a list that stay what they are, so that nothing goes from under a pointer, the keyboard or a
 * screen reader: `make` makes one for a key, `update` changes it.
 */
function show(id, items, key, make, update) {
  const list = at(id);
  const there = new Map([...list.children].map((one) => [one.dataset.key, one]));
  const wanted = items.map((item) => {
    const made = there.get(item[key]) ?? make(item);
    made.dataset.key = item[key];
    update(made, item);
    return made;
  });
  for (const one of [...list.children]) if (!wanted.includes(one)) one.remove();
  wanted.forEach((one, place) => { if (list.children[place] !== one) list.insertBefore(one, list.children[place] ?? null); });
}

/** A new token: for all who ask at once the same one, because a refresh token is used once. */
let renewing = null;
async function renewed() {
  const of = session;
  renewing ??= call('POST', 'users/refresh', { refresh_token: of.refresh_token }).finally(() => { renewing = null; });
  const next = await renewing;
  // Somebody else may have signed in meanwhile.
  if (session === of) session = next;
}

const client = new LiveClient(`${location.origin}${root}`, {
  token: async ({ renew }) => {
    if (session && renew) await renewed();
    return session?.token ?? null;
  },
  onState: (state, why) => {
    at('state').textContent = why ? why.message : state;
    at('state').dataset.state = state;
  },
});

const byTime = (one, other) => (one.at < other.at ? -1 : 1);
function showMessages() {
  const box = at('chat');
  const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  const shown = [...messages.values()].sort(byTime).slice(-200);
  show('chat', shown, 'message_id',
    ({ user }) => element('li', undefined, {}, element('b', user.name ?? 'Somebody', { className: user.role }), element('span'), element('small')),
    (item, { text, edited_at }) => {
      const [, said, edited] = item.children;
      if (said.textContent !== text) said.textContent = text;
      edited.textContent = edited_at ? ' (edited)' : '';
    });
  if (isAtEnd) box.scrollTop = box.scrollHeight;
}

const showMode = ({ mode, slow_seconds }) => {
  at('mode').textContent = { open: '', slow: `slow: one message in ${slow_seconds} s`, closed: 'closed' }[mode];
};

/** What each publication changes. */
const changes = {
  'chat.message': (message) => { messages.set(message.message_id, { ...message, at: message.sent_at }); showMessages(); },
  'chat.deleted': ({ message_id }) => { messages.delete(message_id); showMessages(); },
  'chat.mode': showMode,
  'reactions': (counts) => {
    for (const button of at('reactions').children) {
      button.dataset.count = Number(button.dataset.count ?? 0) + (counts[button.dataset.emoji] ?? 0);
      button.textContent = `${button.dataset.emoji} ${Number(button.dataset.count) || ''}`;
    }
  },
};
changes['chat.edited'] = changes['chat.message'];
const onPublication = ({ type, data }) => changes[type]?.(data);

/**
 * Follows a topic: what there is is loaded once it is read, and again when too much was missed. What is published meanwhile waits, because
 * what is being loaded may be older.
 */
function follow(topic, known, load) {
  let waiting = null;
  const loading = ({ state }) => trying(async () => {
    const own = waiting = [];
    try {
      const loaded = await load(state);
      if (own !== waiting) return;
      known?.clear();
      loaded();
    } finally {
      if (own === waiting) {
        waiting = null;
        own.forEach(onPublication);
      }
    }
  });
  client.subscribe(channel(topic), {
    onPublication: (publication) => (waiting ? waiting.push(publication) : onPublication(publication)),
    onJoined: loading,
    onReset: loading,
    onRevoked: () => left('You do not take part any more.'),
    onError: (error) => (error.code === 'forbidden' ? left(error.message) : tell(error.message)),
  });
}
/** Loads a list, and gives what shows it. */
const each = async (path, type) => {
  const loaded = (await call('GET', live(path))).reverse();
  return () => loaded.forEach(changes[type]);
};

/** The page says what happens when somebody takes no part any more. */
let left = tell;

const followChat = () => follow('chat', messages, async (state) => {
  const shown = await each('chat', 'chat.message');
  return () => { showMode(state); shown(); showMessages(); };
});

at('reactions').replaceChildren(...EMOJI.map((emoji) => {
  const button = element('button', emoji, { type: 'button', onclick: () => trying(() => client.publish(channel('reactions'), { emoji })) });
  button.dataset.emoji = emoji;
  return button;
}));
/** A form that says its text on a topic. */
function says(form, topic) {
  at(form).onsubmit = (submitted) => {
    submitted.preventDefault();
    const { text } = submitted.target.elements;
    trying(async () => { await client.publish(channel(topic), { text: text.value }); text.value = ''; });
  };
}
says('chat-form', 'chat');

/** Begins again as who signs in. */
function signsIn(begin) {
  at('sign-in').onsubmit = (submitted) => {
    submitted.preventDefault();
    const { email, password, totp } = submitted.target.elements;
    const button = submitted.submitter;
    button.disabled = true;
    trying(async () => {
      try {
        session = await call('POST', 'users/login', { email: email.value, password: password.value, ...(totp.value && { totp: totp.value }) });
        await begin();
      } finally {
        button.disabled = false;
      }
    });
  };
}

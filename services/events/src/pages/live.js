// The page: an event, followed live. `LiveClient` stands above.
const at = (id) => document.getElementById(id);
const [, root, event] = location.pathname.match(/^(.*?)\/live\/([^/]+)\/?$/);
const channel = (topic) => `event:${event}${topic ? `:${topic}` : ''}`;
const EMOJI = ['👏', '❤️', '🎉', '😂', '🔥', '👍'];
let session = null;
const [messages, questions, polls, announcements] = [new Map(), new Map(), new Map(), new Map()];

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

function showSeats({ capacity, seats_left, registered }) {
  at('left').textContent = capacity === null ? registered : seats_left;
  at('of').textContent = capacity === null ? 'have registered' : `of ${capacity} seats left`;
  at('taken').hidden = capacity === null;
  at('taken').value = capacity === null ? 0 : registered / capacity;
}

function showEvent(shown) {
  document.title = at('name').textContent = shown.e_name;
  const when = new Date(shown.event_time).toLocaleString(undefined, { dateStyle: 'full', timeStyle: 'short', timeZone: shown.timezone });
  at('when').textContent = shown.status === 'cancelled' ? 'Cancelled' : `${when} (${shown.timezone})`;
  showSeats(shown);
}

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

function showQuestions() {
  const shown = [...questions.values()].filter(({ state }) => state !== 'hidden');
  show('questions', shown.sort((one, other) => other.votes - one.votes || byTime(one, other)), 'question_id',
    ({ question_id, text }) => element('li', undefined, {},
      element('span', text, {}, element('small')),
      element('button', undefined, {
        onclick: () => trying(async () => {
          await call('POST', live(`questions/${question_id}/vote`));
          Object.assign(questions.get(question_id) ?? {}, { voted: true });
          showQuestions();
        }),
      })),
    (item, { text, votes, voted, state }) => {
      const button = item.querySelector('button');
      item.querySelector('small').textContent = state === 'answered' ? ' (answered)' : '';
      button.textContent = `${voted ? 'Voted' : 'Vote'}: ${votes}`;
      button.ariaLabel = `Vote for: ${text} (${votes})`;
      button.disabled = Boolean(voted) || state !== 'open';
    });
}

function showPolls() {
  const shown = [...polls.values()].filter(({ state }) => state !== 'draft');
  show('polls', shown.sort(byTime).reverse(), 'poll_id',
    ({ poll_id, question, options }) => element('li', undefined, {}, element('b', question), ...options.map(({ option_id, text }) => element('button', undefined, {
      onclick: () => trying(async () => {
        await call('POST', live(`polls/${poll_id}/vote`), { option: option_id });
        Object.assign(polls.get(poll_id) ?? {}, { voted: option_id });
        showPolls();
      }),
    }, element('span', text, {}, element('small')), element('span')))),
    (item, { options, state, voted }) => options.forEach(({ option_id, votes }, place) => {
      const button = item.querySelectorAll('button')[place];
      button.disabled = Boolean(voted) || state !== 'open';
      button.querySelector('small').textContent = voted === option_id ? ' (your vote)' : '';
      button.lastElementChild.textContent = votes ?? '';
    }));
}

const showAnnouncements = () => {
  const now = new Date().toISOString();
  const shown = [...announcements.values()].filter(({ expires_at }) => !expires_at || expires_at > now);
  show('announcements', shown.sort(byTime).reverse(), 'announcement_id', ({ text }) => element('li', text), () => {});
};
const showMode = ({ mode, slow_seconds }) => {
  at('mode').textContent = { open: '', slow: `slow: one message in ${slow_seconds} s`, closed: 'closed' }[mode];
};

/** What each publication changes. */
const changes = {
  'event.changed': ({ event: changed }) => showEvent(changed),
  'event.cancelled': ({ event: changed }) => showEvent(changed),
  'seats.changed': showSeats,
  'chat.message': (message) => { messages.set(message.message_id, { ...message, at: message.sent_at }); showMessages(); },
  'chat.deleted': ({ message_id }) => { messages.delete(message_id); showMessages(); },
  'chat.mode': showMode,
  'question.asked': (asked) => {
    questions.set(asked.question_id, { ...questions.get(asked.question_id), ...asked, at: asked.asked_at });
    showQuestions();
  },
  'question.hidden': ({ question_id }) => { questions.delete(question_id); showQuestions(); },
  'question.votes': ({ question_id, votes }) => {
    if (questions.has(question_id)) Object.assign(questions.get(question_id), { votes });
    showQuestions();
  },
  'poll.opened': (poll) => { polls.set(poll.poll_id, { ...polls.get(poll.poll_id), ...poll, at: poll.created_at }); showPolls(); },
  'poll.votes': ({ poll_id, options }) => { if (polls.has(poll_id)) Object.assign(polls.get(poll_id), { options }); showPolls(); },
  'poll.closed': ({ poll_id, results }) => {
    if (polls.has(poll_id)) Object.assign(polls.get(poll_id), { options: results, state: 'closed' });
    showPolls();
  },
  'announcement.created': (made) => { announcements.set(made.announcement_id, { ...made, at: made.sent_at }); showAnnouncements(); },
  'announcement.deleted': ({ announcement_id }) => { announcements.delete(announcement_id); showAnnouncements(); },
  'reactions': (counts) => {
    for (const button of at('reactions').children) {
      button.dataset.count = Number(button.dataset.count ?? 0) + (counts[button.dataset.emoji] ?? 0);
      button.textContent = `${button.dataset.emoji} ${Number(button.dataset.count) || ''}`;
    }
  },
};
changes['chat.edited'] = changes['chat.message'];
changes['question.answered'] = changes['question.asked'];
const onPublication = ({ type, data }) => changes[type]?.(data);

/** Takes no part, or no more. */
let beats = [];
function leave(text) {
  at('rooms').hidden = true;
  at('people').textContent = '';
  beats.forEach(clearInterval);
  beats = [];
  tell(text);
}

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
    onRevoked: () => leave('You do not take part any more.'),
    onError: (error) => (error.code === 'forbidden' ? leave(error.message) : tell(error.message)),
  });
}
/** Loads a list, and gives what shows it. */
const each = async (path, type) => {
  const loaded = (await call('GET', live(path))).reverse();
  return () => loaded.forEach(changes[type]);
};

async function takePart() {
  // Asked first, so that who may not is told why.
  await call('GET', live('chat/mode'));
  at('rooms').hidden = false;
  at('sign-in').hidden = true;
  follow('chat', messages, async (state) => {
    const shown = await each('chat', 'chat.message');
    return () => { showMode(state); shown(); showMessages(); };
  });
  follow('questions', questions, async () => {
    const shown = await each('questions', 'question.asked');
    return () => { shown(); showQuestions(); };
  });
  follow('polls', polls, async () => {
    const shown = await each('polls', 'poll.opened');
    return () => { shown(); showPolls(); };
  });
  follow('announcements', announcements, async (state) => () => {
    state.announcements.forEach(changes['announcement.created']);
    showAnnouncements();
  });
  follow('reactions', null, async () => () => {});
  const count = async () => {
    const { count } = await client.presence(channel()).catch(() => ({}));
    if (count !== undefined) at('people').textContent = count === 1 ? 'You are here.' : `${count} people are here.`;
  };
  beats = [setInterval(count, 5_000), setInterval(showAnnouncements, 5_000)];
  setTimeout(count, 1_500);
}

at('reactions').replaceChildren(...EMOJI.map((emoji) => {
  const button = element('button', emoji, { type: 'button', onclick: () => trying(() => client.publish(channel('reactions'), { emoji })) });
  button.dataset.emoji = emoji;
  return button;
}));
for (const [form, topic] of [['chat-form', 'chat'], ['question-form', 'questions']]) {
  at(form).onsubmit = (submitted) => {
    submitted.preventDefault();
    const { text } = submitted.target.elements;
    trying(async () => { await client.publish(channel(topic), { text: text.value }); text.value = ''; });
  };
}
at('sign-in').onsubmit = (submitted) => {
  submitted.preventDefault();
  const { email, password, totp } = submitted.target.elements;
  const button = submitted.submitter;
  button.disabled = true;
  trying(async () => {
    try {
      session = await call('POST', 'users/login', { email: email.value, password: password.value, ...(totp.value && { totp: totp.value }) });
      start();
      await takePart();
    } finally {
      button.disabled = false;
    }
  });
};

/** Begins, or begins again as somebody else. */
function start() {
  client.close();
  client.open();
  follow('', null, async () => {
    const loaded = await call('GET', `events/${event}`);
    return () => showEvent(loaded);
  });
}
start();

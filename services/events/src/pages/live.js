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
const fill = (id, items) => at(id).replaceChildren(...items);

const client = new LiveClient(`${location.origin}${root}`, {
  token: async ({ renew }) => {
    if (session && renew) session = await call('POST', 'users/refresh', { refresh_token: session.refresh_token });
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
  fill('chat', shown.map(({ user, text, edited_at }) => element('li', undefined, {},
    element('b', user.name ?? 'Somebody', { className: user.role }), text, element('small', edited_at ? ' (edited)' : ''))));
  if (isAtEnd) box.scrollTop = box.scrollHeight;
}

function showQuestions() {
  const shown = [...questions.values()].sort((one, other) => other.votes - one.votes || byTime(one, other));
  fill('questions', shown.map(({ question_id, text, votes, voted, state }) => element('li', undefined, {},
    element('span', text, {}, element('small', state === 'answered' ? ' (answered)' : '')),
    element('button', `${voted ? 'Voted' : 'Vote'}: ${votes}`, {
      disabled: voted || state !== 'open',
      ariaLabel: `Vote for: ${text} (${votes})`,
      onclick: () => trying(async () => {
        await call('POST', live(`questions/${question_id}/vote`));
        Object.assign(questions.get(question_id), { voted: true });
        showQuestions();
      }),
    }))));
}

function showPolls() {
  fill('polls', [...polls.values()].sort(byTime).reverse().map(({ poll_id, question, options, state, voted }) => element('li', undefined, {},
    element('b', question), ...options.map(({ option_id, text, votes }) => element('button', undefined, {
      disabled: Boolean(voted) || state !== 'open',
      onclick: () => trying(async () => {
        await call('POST', live(`polls/${poll_id}/vote`), { option: option_id });
        Object.assign(polls.get(poll_id), { voted: option_id });
        showPolls();
      }),
    }, element('span', text, {}, element('small', voted === option_id ? ' (your vote)' : '')), element('span', votes ?? ''))))));
}

const showAnnouncements = () => {
  const now = new Date().toISOString();
  const shown = [...announcements.values()].filter(({ expires_at }) => !expires_at || expires_at > now);
  fill('announcements', shown.sort(byTime).reverse().map(({ text }) => element('li', text)));
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

/** Follows a topic: what there is is loaded once it is read, and again when too much was missed. */
function follow(topic, load) {
  const loading = ({ state }) => trying(() => load(state));
  client.subscribe(channel(topic), {
    onPublication,
    onJoined: loading,
    onReset: loading,
    onRevoked: () => { at('rooms').hidden = true; tell('You do not take part any more.'); },
    onError: (error) => tell(error.message),
  });
}
const each = async (path, type) => { for (const one of (await call('GET', live(path))).reverse()) changes[type](one); };

async function takePart() {
  // Asked first, so that who may not is told why.
  await call('GET', live('chat/mode'));
  at('rooms').hidden = false;
  at('sign-in').hidden = true;
  follow('chat', (state) => { showMode(state); return each('chat', 'chat.message'); });
  follow('questions', () => each('questions', 'question.asked'));
  follow('polls', async () => { for (const poll of await call('GET', live('polls'))) if (poll.state !== 'draft') changes['poll.opened'](poll); });
  follow('announcements', async (state) => { for (const one of state.announcements) changes['announcement.created'](one); });
  follow('reactions', () => {});
  const count = async () => {
    const { count } = await client.presence(channel()).catch(() => ({}));
    if (count !== undefined) at('people').textContent = count === 1 ? 'You are here.' : `${count} people are here.`;
  };
  setInterval(count, 5_000);
  setInterval(showAnnouncements, 5_000);
  setTimeout(count, 1_000);
}

fill('reactions', EMOJI.map((emoji) => {
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
  trying(async () => {
    session = await call('POST', 'users/login', { email: email.value, password: password.value, ...(totp.value && { totp: totp.value }) });
    start();
    await takePart();
  });
};

/** Begins, or begins again as somebody else. */
function start() {
  client.close();
  const load = () => trying(async () => showEvent(await call('GET', `events/${event}`)));
  client.subscribe(channel(), { onPublication, onJoined: load, onReset: load, onError: (error) => tell(error.message) });
}
start();

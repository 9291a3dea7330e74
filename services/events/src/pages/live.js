// The page: an event, followed live. What the pages share stands above.
const [questions, polls, announcements] = [new Map(), new Map(), new Map()];

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
Object.assign(changes, {
  'event.changed': ({ event: changed }) => showEvent(changed),
  'event.cancelled': ({ event: changed }) => showEvent(changed),
  'seats.changed': showSeats,
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
});
changes['question.answered'] = changes['question.asked'];

/** Takes no part, or no more. */
let beats = [];
left = (text) => {
  at('rooms').hidden = true;
  at('people').textContent = '';
  beats.forEach(clearInterval);
  beats = [];
  tell(text);
};

async function takePart() {
  // Asked first, so that who may not is told why.
  await call('GET', live('chat/mode'));
  at('rooms').hidden = false;
  at('sign-in').hidden = true;
  followChat();
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

says('question-form', 'questions');
signsIn(async () => {
  start();
  await takePart();
});

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

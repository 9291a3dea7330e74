// The page: what is streamed, with the chat beside it. What the pages share stands above.
const HLS = { src: '{{hls_src}}', integrity: '{{hls_integrity}}' };
const video = at('video');
/** What the event has: streams, and which of them is current. */
let timetable = { streams: [], current: null, next: null, join_url: null };
/** What is playing: the stream, the playback, its player and its heartbeat. */
let playing = null;
/** The recording that was asked for. */
let chosen = null;
let starts = null;

const stream = (id) => timetable.streams.find(({ stream_id }) => stream_id === id);
const time = (at) => new Date(at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** hls.js, once; null where it cannot be had. */
let loading = null;
const library = () => (loading ??= new Promise((resolve) => {
  const script = Object.assign(document.createElement('script'), { ...HLS, crossOrigin: 'anonymous', onload: () => resolve(globalThis.Hls), onerror: () => resolve(null) });
  document.head.append(script);
}));

/** Plays a playlist; gives what ends that. */
async function play(url) {
  const Hls = await library();
  if (Hls?.isSupported()) {
    const hls = new Hls({ liveSyncDurationCount: 3, backBufferLength: 60 });
    hls.on(Hls.Events.ERROR, (_, error) => {
      if (!error.fatal) return;
      // Before the first segment, after a break, or when the right to watch has ended, which the heartbeat finds out.
      setTimeout(() => {
        if (error.type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
        else hls.loadSource(url);
      }, 2_000);
    });
    hls.loadSource(url);
    hls.attachMedia(video);
    return () => hls.destroy();
  }
  if (!video.canPlayType('application/vnd.apple.mpegurl')) throw new Error('This browser cannot play the stream.');
  return playFile(url);
}

/** Plays what the browser can play by itself. */
function playFile(url) {
  video.src = url;
  return () => { video.removeAttribute('src'); video.load(); };
}

function stop() {
  if (!playing) return;
  clearInterval(playing.beat);
  playing.end?.();
  playing = null;
  video.hidden = true;
  at('frame').hidden = true;
  at('frame').removeAttribute('src');
}

/** Begins to play a stream, in place of what was playing. */
async function begin(wanted) {
  stop();
  const own = playing = { stream: wanted.stream_id, recorded: wanted.state === 'replay' };
  const playback = await call('POST', `live/streams/${wanted.stream_id}/playback`);
  if (own !== playing) return;
  own.beat = setInterval(() => trying(async () => {
    try {
      await call('POST', `live/playback/${playback.playback_id}/heartbeat`);
    } catch (error) {
      if (own === playing) stop();
      throw error;
    }
  }), playback.heartbeat_seconds * 1000);
  // Ours comes by the way that this page came; a media server has an address of its own.
  const path = playback.url.indexOf('/api/live/hls/');
  const url = playback.kind === 'ingest' && path >= 0 ? `${location.origin}${root}${playback.url.slice(path)}` : playback.url;
  if (playback.kind === 'embed') {
    at('frame').src = url;
    at('frame').hidden = false;
  } else if (playback.kind === 'meeting') {
    own.link = url;
  } else {
    video.hidden = false;
    // A media server's recording is one file.
    const isFile = playback.kind === 'ingest' && !new URL(url).pathname.endsWith('.m3u8');
    own.end = isFile ? playFile(url) : await play(url);
    if (own !== playing) return own.end();
    // A page that was not touched may play only without sound.
    video.play().catch(() => {});
  }
  say();
}

/** What stands over or in place of the pictures. */
function say() {
  const now = stream(playing?.stream);
  const next = stream(timetable.next);
  const wait = at('wait');
  wait.className = playing ? 'over' : '';
  if (playing?.link) {
    wait.className = '';
    wait.replaceChildren(element('a', 'Join the meeting', { href: playing.link, target: '_blank', rel: 'noopener' }));
  } else if (now?.state === 'interrupted') {
    wait.textContent = 'The stream is interrupted. It goes on here as soon as it comes back.';
  } else if (playing) {
    wait.textContent = '';
  } else {
    const when = next?.starts_at ?? starts;
    const left = Math.round((new Date(when) - Date.now()) / 1000);
    const two = (number) => String(number).padStart(2, '0');
    const days = Math.floor(left / 86400);
    const clock = `${two(Math.floor(left / 3600) % 24)}:${two(Math.floor(left / 60) % 60)}:${two(left % 60)}`;
    const countdown = left > 0 ? `${days > 0 ? `${days} d ` : ''}${clock}` : 'Soon';
    wait.textContent = next ? `${next.title}\n${countdown}` : 'Nothing is on at the moment.';
  }
  at('title').textContent = now?.title ?? '';
  at('live').hidden = now?.state !== 'live';
  at('join').hidden = !timetable.join_url;
  if (timetable.join_url) at('join').firstChild.href = timetable.join_url;
  at('next').textContent = next ? `Next: ${next.title}${next.starts_at ? `, ${time(next.starts_at)}` : ''}` : '';
  const replays = timetable.streams.filter(({ state }) => state === 'replay');
  show('replays', replays, 'stream_id', ({ stream_id, title }) => element('li', undefined, {}, element('button', `Watch again: ${title}`, {
    type: 'button',
    onclick: () => { chosen = stream_id; turn(); },
  })), () => {});
}

/** Plays what is to be played now. */
function turn() {
  const wanted = stream(chosen) ?? stream(timetable.current);
  if (!wanted) stop();
  // A stream that has become a recording has other playlists.
  else if (playing?.stream !== wanted.stream_id || playing.recorded !== (wanted.state === 'replay')) trying(() => begin(wanted));
  say();
}

async function reload() {
  timetable = await call('GET', live('streams'));
  // What is live goes before what was recorded.
  if (timetable.current && stream(timetable.current)?.state === 'live' && stream(chosen)?.stream_id !== timetable.current) chosen = null;
  turn();
}

function showViewers(count) {
  at('viewers').textContent = count === 0 ? '' : count === 1 ? '1 person is watching' : `${count} people are watching`;
}
Object.assign(changes, {
  'stream.state': () => trying(reload),
  'viewers': ({ count }) => showViewers(count),
  'event.changed': ({ event: changed }) => {
    showEvent(changed);
    // What it says to those who attend, such as where it is joined, is not published.
    if (!at('rooms').hidden) trying(reload);
  },
});
changes['event.cancelled'] = changes['event.changed'];

function showEvent(shown) {
  document.title = at('name').textContent = shown.e_name;
  starts = shown.event_time;
  at('when').textContent = shown.status === 'cancelled' ? 'Cancelled' : time(shown.event_time);
}

let clock = null;
left = (text) => {
  stop();
  clearInterval(clock);
  at('rooms').hidden = true;
  tell(text);
};

async function watch() {
  await reload();
  at('rooms').hidden = false;
  at('sign-in').hidden = true;
  follow('stage', null, async (state) => () => showViewers(state.viewers));
  followChat();
  follow('reactions', null, async () => () => {});
  clearInterval(clock);
  clock = setInterval(say, 1_000);
}

/** Begins, or begins again as somebody else. */
function start() {
  client.close();
  client.open();
  follow('', null, async () => {
    const loaded = await call('GET', `events/${event}`);
    return () => showEvent(loaded);
  });
}
signsIn(async () => {
  start();
  await watch();
});
start();

// Live updates of Organise_Event over a WebSocket, protocol evt.v1 (docs/live.md): connects, subscribes, recovers what was
// missed, renews its token and comes back after breaks. No dependencies; browsers, Deno, Bun, and Node from 22 on (before, Node
// needs --experimental-websocket, or the `WebSocket` of a package).

/** What the server refuses, or why something could not be said. `code` is one of docs/live.md, `closed`, `disconnected` or `too_large`. */
export class LiveError extends Error {
  constructor(code, message, retryAfter = 0) {
    super(message);
    this.name = 'LiveError';
    this.code = code;
    /** Milliseconds, with `rate_limited`. */
    this.retryAfter = retryAfter;
  }
}

const PROTOCOL = 'evt.v1';
/** A pong may take so long after a ping, on either side; milliseconds. */
const PONG = 10_000;
/** A connection that lasted so long was a good one: the next one is not waited for longer than the first. */
const GOOD = 10_000;
/** For so long what cannot be said at the moment is tried again. */
const PATIENCE = 60_000;
/** Channels joined at a time: the server takes 40 commands at once. */
const TOGETHER = 16;
/** The longest command, below the server's 64 KiB, with which it would end the connection. */
const LONGEST = 60_000;
/** Errors that go by themselves. */
const PASSING = new Set(['unavailable', 'rate_limited']);
/** Close codes after which nothing is to be gained by coming back as before. */
const isFinal = (code) => (code >= 3500 && code < 4000) || code === 1002 || code === 1007 || code === 1009;
const sleep = (time) => new Promise((resolve) => { setTimeout(resolve, time); });
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Calls what belongs to the application, whose mistakes are not ours. */
function tell(callback, ...values) {
  try {
    callback?.(...values);
  } catch (error) {
    (globalThis.reportError ?? console.error)(error);
  }
}

export class LiveClient {
  #url;
  #token;
  #WebSocket;
  #onState;
  #shortest;
  #longest;
  #state = 'new';
  #why = null;
  #socket = null;
  /** Counts the connections that were begun, so that what belongs to an earlier one is known. */
  #run = 0;
  #isConnected = false;
  #openedAt = 0;
  /** What is to be read, by name. */
  #channels = new Map();
  /** What the server passes on over this connection, and the names for which it is being told. */
  #read = new Map();
  #busy = new Set();
  #commands = new Map();
  #saying = new Set();
  #lastId = 0;
  #lastToken = null;
  #failures = 0;
  #refusals = 0;
  #timer = null;
  #watchdog = null;
  #ping = 25;

  /**
   * @param url where the gateway is, such as `https://events.example.org`
   * @param options `token({renew})`: gives an access token, a new one when `renew` is set, or null for nobody in particular; when it
   *   throws a LiveError that is the end, and any other error is tried again. `onState(state, why)`: `connecting`, `open`, or `closed` for
   *   good. `WebSocket`; `shortest` and `longest`: milliseconds before coming back
   */
  constructor(url, { token = () => null, onState, WebSocket = globalThis.WebSocket, shortest = 500, longest = 30_000 } = {}) {
    this.#url = `${String(url).replace(/\/+$/, '').replace(/^http/, 'ws')}/api/live/ws`;
    this.#token = token;
    this.#onState = onState;
    this.#WebSocket = WebSocket;
    this.#shortest = shortest;
    this.#longest = longest;
  }

  /** `new`, `connecting`, `open` or `closed`. */
  get state() {
    return this.#state;
  }

  /**
   * Reads a channel, through breaks, until the function that this gives is called. Of `handlers` each may be missing:
   * `onJoined({state})` once it is read, with what is in force; `onPublication(publication)`; `onReset({state})` when what was missed
   * cannot be had any more: load again what you know; `onRevoked()` when it may be read no longer; `onError(error)` when it cannot
   * be read.
   */
  subscribe(name, handlers = {}) {
    if (this.#state === 'closed') throw this.#why;
    if (this.#channels.has(name)) throw new LiveError('already_subscribed', `${name} is subscribed to already`);
    const channel = { name, handlers, position: null, hasGap: false };
    this.#channels.set(name, channel);
    this.open();
    this.#settle(name);
    return () => {
      if (this.#channels.get(name) !== channel) return;
      this.#channels.delete(name);
      this.#settle(name);
    };
  }

  /**
   * Says something on a channel, through breaks and once; gives its `epoch`, `offset` and `id`. A reaction, which gives nothing, is not
   * said again after a break.
   */
  publish(name, data, { key = newKey() } = {}) {
    return new Promise((resolve, reject) => {
      if (this.#state === 'closed') throw this.#why;
      if (JSON.stringify({ name, data, key }).length > LONGEST) throw new LiveError('too_large', 'this is too long');
      const said = { name, data, key, resolve, reject, isUnderWay: false, wasSent: false, until: Date.now() + PATIENCE };
      this.#saying.add(said);
      this.open();
      this.#say(said);
    });
  }

  /** How many people follow the channel's event: `{count}`; with `list`, for its organizer, who: `{count, users}`. */
  presence(name, mode = 'count') {
    return this.#command({ op: 'presence', ch: name, mode });
  }

  /** Begins; or begins again, after it was closed, without what was subscribed to then. */
  open() {
    if (this.#state === 'connecting' || this.#state === 'open') return;
    this.#why = null;
    this.#failures = 0;
    this.#refusals = 0;
    this.#enter('connecting');
    this.#connect();
  }

  /** Goes, until it is opened again. */
  close() {
    this.#end(new LiveError('closed', 'closed by the client'));
  }

  #enter(state, why) {
    this.#state = state;
    tell(this.#onState, state, why);
  }

  async #connect() {
    const run = ++this.#run;
    this.#timer = null;
    let token;
    try {
      token = await this.#token({ renew: this.#refusals > 0 });
    } catch (error) {
      if (run !== this.#run) return;
      if (error instanceof LiveError) this.#end(error);
      else this.#comeBack(0, error);
      return;
    }
    if (run !== this.#run) return;
    this.#lastToken = token;
    const socket = new this.#WebSocket(this.#url, [PROTOCOL]);
    this.#socket = socket;
    this.#watch(2 * PONG);
    socket.onopen = () => run === this.#run && this.#greet(run, token);
    socket.onmessage = ({ data }) => run === this.#run && this.#hear(data);
    socket.onclose = ({ code, reason }) => run === this.#run && this.#lost(code, reason);
    socket.onerror = () => {};
  }

  async #greet(run, token) {
    try {
      const { ping } = await this.#command({ op: 'connect', ...(token && { token }) });
      this.#ping = ping;
    } catch (error) {
      if (run !== this.#run || error.code === 'disconnected') return;
      const isRefused = token && (error.code === 'token_expired' || error.code === 'unauthorized');
      // A token is replaced once; another one that is refused too is not going to be better.
      if (isRefused && this.#refusals++ > 0) this.#end(error);
      else if (isRefused || PASSING.has(error.code)) this.#comeBack(0, error);
      else this.#end(error);
      return;
    }
    this.#refusals = 0;
    this.#openedAt = Date.now();
    this.#isConnected = true;
    const [names, saying] = [[...this.#channels.keys()], [...this.#saying]];
    const join = async () => { while (names.length > 0 && run === this.#run) await this.#settle(names.shift()); };
    for (let number = 0; number < TOGETHER; number++) join();
    this.#enter('open');
    // In the order in which it was said.
    for (const said of saying) if (run === this.#run) await this.#say(said);
  }

  /** Brings what the server passes on in line with what is to be read. One at a time for each name. */
  async #settle(name) {
    const [busy, read] = [this.#busy, this.#read];
    if (!this.#isConnected || busy.has(name)) return;
    busy.add(name);
    const run = this.#run;
    for (;;) {
      if (run !== this.#run) return;
      const [channel, reading] = [this.#channels.get(name), read.get(name)];
      try {
        if (reading && (reading !== channel || channel.hasGap)) {
          await this.#command({ op: 'unsubscribe', ch: name });
          read.delete(name);
          if (channel) channel.hasGap = false;
        } else if (channel && !reading) {
          const { position } = channel;
          const joined = await this.#command({ op: 'subscribe', ch: name, ...(position && { recover: position }) });
          read.set(name, channel);
          this.#joined(channel, joined);
        } else {
          break;
        }
      } catch (error) {
        if (run !== this.#run || error.code === 'disconnected') return;
        if (PASSING.has(error.code)) {
          await sleep((error.retryAfter || this.#shortest) + 1_000 * Math.random());
        } else if (error.code === 'not_subscribed') {
          read.delete(name);
        } else {
          if (this.#channels.get(name) === channel) this.#channels.delete(name);
          tell(channel?.handlers.onError, error);
        }
      }
    }
    busy.delete(name);
  }

  #joined(channel, { epoch, offset, recovered, events, state }) {
    const before = channel.position;
    if (before === null || !recovered) {
      // The events of a first answer are those since the state that comes with it.
      channel.position = { epoch, offset: offset - events.length };
      tell(before === null ? channel.handlers.onJoined : channel.handlers.onReset, { state });
    }
    for (const publication of events) this.#deliver(channel, publication);
    if (offset > channel.position.offset) channel.position = { epoch, offset };
  }

  #deliver(channel, publication) {
    if (this.#channels.get(channel.name) !== channel || channel.hasGap) return;
    const { offset } = publication;
    if (offset !== undefined) {
      const { position } = channel;
      if (offset <= position.offset) return;
      if (offset > position.offset + 1) {
        // Something is missing: it is asked for, from where all is known.
        channel.hasGap = true;
        this.#settle(channel.name);
        return;
      }
      channel.position = { ...position, offset };
    }
    tell(channel.handlers.onPublication, publication);
  }

  async #say(said) {
    const { name, data, key, resolve, reject } = said;
    if (!this.#isConnected || said.isUnderWay || !this.#saying.has(said)) return;
    const run = this.#run;
    said.isUnderWay = true;
    const isAgain = said.wasSent;
    said.wasSent = true;
    for (let wait = this.#shortest; ; wait = Math.min(2 * wait, 8_000)) {
      try {
        resolve(await this.#command({ op: 'publish', ch: name, data, key }));
        break;
      } catch (error) {
        const isReaction = name.endsWith(':reactions');
        if (error.code === 'disconnected' && !isReaction) {
          // Said again after the break, under the same key.
          said.isUnderWay = false;
          return;
        }
        // What is said again may have been taken before the break, so it is not given up for being one of many.
        const isPassing = error.code === 'unavailable' || (error.code === 'rate_limited' && isAgain);
        if (!isPassing || Date.now() > said.until) {
          reject(error);
          break;
        }
        await sleep(error.retryAfter || wait);
        if (run !== this.#run) {
          said.isUnderWay = false;
          this.#say(said);
          return;
        }
      }
    }
    this.#saying.delete(said);
  }

  #hear(text) {
    this.#watch(this.#ping * 1000 + PONG);
    const heard = JSON.parse(text);
    if (heard.id !== undefined) {
      const command = this.#commands.get(heard.id);
      this.#commands.delete(heard.id);
      if (heard.err) command?.reject(new LiveError(heard.err.code, heard.err.msg, heard.err.retry_after_ms));
      else command?.resolve(heard.ok);
      return;
    }
    const channel = this.#read.get(heard.ch);
    switch (heard.ev) {
      case 'pub':
        if (channel) this.#deliver(channel, heard);
        break;
      case 'unsub':
        this.#read.delete(heard.ch);
        if (channel && this.#channels.get(heard.ch) === channel) {
          this.#channels.delete(heard.ch);
          tell(channel.handlers.onRevoked);
        }
        break;
      case 'expiring':
        this.#renew();
        break;
      case 'ping':
        this.#socket.send('{"op":"pong"}');
        break;
      // What a newer server says beyond this.
      default:
    }
  }

  async #renew() {
    const run = this.#run;
    try {
      const token = await this.#token({ renew: true });
      if (run !== this.#run || !token || token === this.#lastToken) return;
      this.#lastToken = token;
      await this.#command({ op: 'refresh', token });
    } catch {
      // The server closes when the token has run out, and then another one is asked for.
    }
  }

  #command(command) {
    return new Promise((resolve, reject) => {
      if (this.#socket?.readyState !== 1) throw new LiveError('disconnected', 'there is no connection');
      const id = ++this.#lastId;
      this.#socket.send(JSON.stringify({ id, ...command }));
      this.#commands.set(id, { resolve, reject });
    });
  }

  #watch(patience) {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#lost(1006, 'nothing is heard'), patience);
  }

  /** Lets go of the socket, and of what waits for answers. */
  #drop() {
    const socket = this.#socket;
    this.#run += 1;
    this.#socket = null;
    this.#isConnected = false;
    this.#read = new Map();
    this.#busy = new Set();
    clearTimeout(this.#watchdog);
    if (socket && socket.readyState < 2) socket.close();
    for (const channel of this.#channels.values()) channel.hasGap = false;
    const commands = [...this.#commands.values()];
    this.#commands.clear();
    for (const { reject } of commands) reject(new LiveError('disconnected', 'the connection was lost'));
  }

  #lost(code, reason) {
    if (isFinal(code)) {
      this.#end(new LiveError('closed', `closed by the server: ${code} ${reason}`));
      return;
    }
    // The token has run out.
    if (code === 3005) this.#refusals += 1;
    this.#comeBack(code);
  }

  #comeBack(code, why) {
    const wasGood = this.#isConnected && Date.now() - this.#openedAt > GOOD;
    this.#drop();
    if (wasGood) this.#failures = 0;
    // Spread, so that those who were sent away together do not come back together.
    const wait = code === 3001
      ? 5_000 * Math.random()
      : Math.min(this.#longest, this.#shortest * 2 ** this.#failures) * (0.5 + Math.random() / 2);
    this.#failures += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), wait);
    this.#enter('connecting', why);
  }

  #end(why) {
    if (this.#state === 'closed') return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#drop();
    const saying = [...this.#saying];
    this.#saying.clear();
    this.#channels.clear();
    this.#why = why;
    this.#enter('closed', why);
    for (const { reject } of saying) reject(why);
  }
}

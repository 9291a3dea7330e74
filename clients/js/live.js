// Live updates of Organise_Event over a WebSocket, protocol evt.v1 (docs/live.md): connects, subscribes, recovers what was
// missed, renews its token and comes back after breaks. No dependencies; browsers, Deno, Bun, and Node from 22 on (before, Node
// needs --experimental-websocket, or the `WebSocket` of a package).

/** What the server refuses, or why something could not be said. `code` is one of docs/live.md, `closed`, or `disconnected`. */
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
/** Errors that go by themselves. */
const PASSING = new Set(['unavailable', 'rate_limited']);
/** Close codes after which nothing is to be gained by coming back as before. */
const isFinal = (code) => (code >= 3500 && code < 4000) || code === 1002 || code === 1007 || code === 1009;

export class LiveClient {
  #url;
  #token;
  #WebSocket;
  #onState;
  #shortest;
  #longest;
  #state = 'closed';
  #socket = null;
  #isConnected = false;
  #channels = new Map();
  #commands = new Map();
  #saying = new Set();
  #lastId = 0;
  #failures = 0;
  #wantsNewToken = false;
  #timer = null;
  #watchdog = null;
  #ping = 25;

  /**
   * @param url where the gateway is, such as `https://events.example.org`
   * @param options `token({renew})`: gives an access token, a new one when `renew` is set, or null for nobody in particular;
   *   `onState(state, why)`: `connecting`, `open`, or `closed` for good, with a LiveError; `WebSocket`; `shortest` and
   *   `longest`: milliseconds before coming back
   */
  constructor(url, { token = () => null, onState = () => {}, WebSocket = globalThis.WebSocket, shortest = 500, longest = 30_000 } = {}) {
    this.#url = `${String(url).replace(/\/+$/, '').replace(/^http/, 'ws')}/api/live/ws`;
    this.#token = token;
    this.#onState = onState;
    this.#WebSocket = WebSocket;
    this.#shortest = shortest;
    this.#longest = longest;
  }

  /** `connecting`, `open` or `closed`. */
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
    if (this.#channels.has(name)) throw new LiveError('already_subscribed', `${name} is subscribed to already`);
    const channel = { name, handlers, position: null, joined: false };
    this.#channels.set(name, channel);
    this.#start();
    if (this.#isConnected) this.#join(channel);
    return () => {
      if (this.#channels.get(name) !== channel) return;
      this.#channels.delete(name);
      if (channel.joined && this.#isConnected) this.#command({ op: 'unsubscribe', ch: name }).catch(() => {});
    };
  }

  /** Says something on a channel, once, through breaks; gives its `epoch`, `offset` and `id`. */
  publish(name, data, { key = crypto.randomUUID() } = {}) {
    return new Promise((resolve, reject) => {
      const said = { name, data, key, resolve, reject };
      this.#saying.add(said);
      this.#start();
      if (this.#isConnected) this.#say(said);
    });
  }

  /** How many people follow the channel's event: `{count}`; with `list`, for its organizer, who: `{count, users}`. */
  presence(name, mode = 'count') {
    return this.#command({ op: 'presence', ch: name, mode });
  }

  /** Goes for good. */
  close() {
    this.#end(new LiveError('closed', 'closed by the client'));
  }

  #start() {
    if (this.#state !== 'closed') return;
    this.#enter('connecting');
    this.#open();
  }

  #enter(state, why) {
    if (this.#state === state) return;
    this.#state = state;
    this.#onState(state, why);
  }

  async #open() {
    this.#timer = null;
    let token;
    try {
      token = await this.#token({ renew: this.#wantsNewToken });
    } catch {
      this.#comeBack(0);
      return;
    }
    if (this.#state === 'closed') return;
    const socket = new this.#WebSocket(this.#url, [PROTOCOL]);
    this.#socket = socket;
    this.#watch(2 * PONG);
    socket.onopen = () => this.#greet(token);
    socket.onmessage = ({ data }) => this.#socket === socket && this.#hear(data);
    socket.onclose = ({ code, reason }) => this.#socket === socket && this.#lost(code, reason);
    socket.onerror = () => {};
  }

  async #greet(token) {
    try {
      const { ping } = await this.#command({ op: 'connect', ...(token && { token }) });
      this.#ping = ping;
    } catch (error) {
      if (error.code === 'disconnected') return;
      // An old token is replaced once; another one is not going to be better.
      if (error.code === 'token_expired' || (error.code === 'unauthorized' && token && !this.#wantsNewToken)) {
        this.#wantsNewToken = true;
        this.#drop();
        this.#comeBack(0);
      } else if (PASSING.has(error.code)) {
        this.#drop();
        this.#comeBack(0);
      } else {
        this.#end(error);
      }
      return;
    }
    this.#failures = 0;
    this.#wantsNewToken = false;
    this.#isConnected = true;
    this.#enter('open');
    for (const channel of this.#channels.values()) this.#join(channel);
    for (const said of this.#saying) this.#say(said);
  }

  async #join(channel) {
    const { name, handlers, position } = channel;
    const isRead = () => this.#channels.get(name) === channel;
    let joined;
    try {
      joined = await this.#command({ op: 'subscribe', ch: name, ...(position && { recover: position }) });
    } catch (error) {
      if (error.code === 'disconnected' || !isRead()) return;
      if (PASSING.has(error.code)) {
        setTimeout(() => isRead() && this.#isConnected && !channel.joined && this.#join(channel), error.retryAfter || this.#shortest);
        return;
      }
      this.#channels.delete(name);
      handlers.onError?.(error);
      return;
    }
    if (!isRead()) {
      this.#command({ op: 'unsubscribe', ch: name }).catch(() => {});
      return;
    }
    const { epoch, offset, recovered, events, state } = joined;
    channel.joined = true;
    const first = position === null;
    if (first) handlers.onJoined?.({ state });
    else if (!recovered) handlers.onReset?.({ state });
    const before = first || !recovered ? { epoch, offset: offset - events.length } : position;
    channel.position = before;
    for (const publication of events) this.#deliver(channel, publication);
    if (channel.position) channel.position = { epoch, offset: Math.max(offset, channel.position.offset) };
  }

  #deliver(channel, publication) {
    const { offset } = publication;
    if (offset !== undefined) {
      const { position } = channel;
      if (offset <= position.offset) return;
      if (offset > position.offset + 1) {
        // Something is missing: it is asked for, from where all is known.
        channel.joined = false;
        this.#command({ op: 'unsubscribe', ch: channel.name }).then(() => this.#join(channel), () => {});
        return;
      }
      channel.position = { ...position, offset };
    }
    channel.handlers.onPublication?.(publication);
  }

  async #say(said) {
    const { name, data, key, resolve, reject } = said;
    try {
      resolve(await this.#command({ op: 'publish', ch: name, data, key }));
    } catch (error) {
      // Said again after the break, under the same key.
      if (error.code === 'disconnected') return;
      if (error.code === 'unavailable') {
        setTimeout(() => this.#isConnected && this.#saying.has(said) && this.#say(said), this.#shortest);
        return;
      }
      reject(error);
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
    const channel = this.#channels.get(heard.ch);
    switch (heard.ev) {
      case 'pub':
        if (channel?.joined) this.#deliver(channel, heard);
        break;
      case 'unsub':
        this.#channels.delete(heard.ch);
        channel?.handlers.onRevoked?.();
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
    try {
      const token = await this.#token({ renew: true });
      if (token) await this.#command({ op: 'refresh', token });
    } catch {
      // The server closes when the token has run out, and then another one is asked for.
    }
  }

  #command(command) {
    return new Promise((resolve, reject) => {
      if (this.#socket?.readyState !== 1) {
        reject(new LiveError('disconnected', 'there is no connection'));
        return;
      }
      const id = ++this.#lastId;
      this.#commands.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ id, ...command }));
    });
  }

  #watch(patience) {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#lost(1006, 'nothing is heard'), patience);
  }

  /** Lets go of the socket, and of what waits for answers. */
  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.#isConnected = false;
    clearTimeout(this.#watchdog);
    if (socket && socket.readyState < 2) socket.close();
    for (const channel of this.#channels.values()) channel.joined = false;
    const commands = [...this.#commands.values()];
    this.#commands.clear();
    for (const { reject } of commands) reject(new LiveError('disconnected', 'the connection was lost'));
  }

  #lost(code, reason) {
    this.#drop();
    if (isFinal(code)) {
      this.#end(new LiveError('closed', `closed by the server: ${code} ${reason}`));
      return;
    }
    if (code === 3005) this.#wantsNewToken = true;
    this.#comeBack(code);
  }

  #comeBack(code) {
    if (this.#state === 'closed' || this.#timer !== null) return;
    this.#enter('connecting');
    // Spread, so that those who were sent away together do not come back together.
    const wait = code === 3001
      ? 5_000 * Math.random()
      : Math.min(this.#longest, this.#shortest * 2 ** this.#failures) * (0.5 + Math.random() / 2);
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#open(), wait);
  }

  #end(why) {
    if (this.#state === 'closed') return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#drop();
    const saying = [...this.#saying];
    this.#saying.clear();
    this.#channels.clear();
    this.#enter('closed', why);
    for (const { reject } of saying) reject(why);
  }
}

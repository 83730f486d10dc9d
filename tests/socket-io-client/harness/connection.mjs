// A thin wrapper around one socket of the stock client: it writes down everything that happens from the
// moment the socket is made, and waits for things to happen.
import assert from 'node:assert/strict';
import { io } from 'socket.io-client';
import { checkAnswer, checkEvent } from './contract.mjs';
import { LIMIT, brief, sleep, until } from './waiting.mjs';

export class Connection {
  /** Everything in the order it came: `{ event, data, args, ack, at }`. Our own acks are `ack:<event>`. */
  log = [];
  /** Every engine packet that came in, as text. */
  received = [];
  #waiters = new Set();
  #raw = 0;
  /** The names of the events that the server was asked to answer, by the numbers of the questions. */
  #asked = new Map();

  constructor(url, { acks = true, patience = LIMIT, ...options }, name) {
    this.name = name;
    this.patience = patience;
    this.acks = acks;
    this.socket = io(url, {
      forceNew: true,
      autoConnect: false,
      reconnectionDelay: 100,
      reconnectionDelayMax: 500,
      ...options,
    });
    this.#checks(new URL(url).pathname);
    this.socket.on('connect', () => this.#write('connect', []));
    this.socket.on('disconnect', (reason) => this.#write('disconnect', [reason]));
    this.socket.on('connect_error', (error) => this.#write('connect_error', [error]));
    this.socket.onAny((event, ...args) => this.#arrived(event, args));
    this.socket.io.on('open', () => {
      this.socket.io.engine.on('packet', ({ data }) => this.received.push(String(data)));
    });
  }

  open() {
    this.socket.connect();
    return this;
  }

  close() {
    this.socket.io.reconnection(false);
    this.socket.disconnect();
    this.socket.io.engine?.close();
  }

  get transport() {
    return this.socket.io.engine.transport.name;
  }

  // ---- saying

  /** Emits and returns the bare acknowledgement, whatever it says. */
  asks(event, ...args) {
    return new Promise((resolve, reject) => {
      this.socket.timeout(this.patience).emit(event, ...args, (error, answer) => {
        if (error) return reject(new Error(`no acknowledgement of ${event} ${brief(args[0])}: ${error.message}${this.#story()}`));
        this.#write(`ack:${event}`, [answer]);
        resolve(answer);
      });
    });
  }

  /** As `asks`, with arguments in JSON that JSON.stringify would not write. */
  async asksRaw(json) {
    const id = 1_000_000 + this.#raw++;
    this.#asked.set(id, JSON.parse(json)[0]);
    this.socket.io.engine.write(`2/chat,${id}${json}`);
    const start = `3/chat,${id}[`;
    const what = `an acknowledgement of ${brief(json, 80)}`;
    const packet = await until(what, () => this.received.find((text) => text.startsWith(start)), this.patience);
    return JSON.parse(packet.slice(start.length - 1))[0];
  }

  /** Emits, expects success, and returns the `response`. */
  async does(event, ...args) {
    const answer = await this.asks(event, ...args);
    assert.equal(answer?.success, true, `${event} ${brief(args[0])} was refused: ${brief(answer)}`);
    return answer.response;
  }

  /** Emits, expects to be refused with one of these codes, and returns the error. */
  async isRefused(event, payload, ...codes) {
    const answer = await this.asks(event, payload);
    assert.equal(answer?.success, false, `${event} ${brief(payload)} was not refused: ${brief(answer)}`);
    assert.ok(codes.includes(answer.error?.code), `${event} ${brief(payload)}: ${codes.join(' or ')} expected, got ${brief(answer)}`);
    return answer.error;
  }

  /** A private message. */
  tells(person, content, more = {}) {
    return this.does('privateMessage', { receiver: person.username, content, ...more });
  }

  /** A group message. */
  tellsGroup(group, content, more = {}) {
    return this.does('groupMessage', { receiver: group.groupId, content, ...more });
  }

  // ---- seeing

  /** The first thing that passes `test`, already there or still to come, as its log entry. */
  seesEntry(test, limit = LIMIT, what = 'what was waited for') {
    return this.#when(() => this.log.find(test), (entry) => test(entry) && entry, limit, what);
  }

  /** Whether the server let us in: the log entry of `connect` or `connect_error`. */
  isAnswered() {
    return this.seesEntry(({ event }) => event === 'connect' || event === 'connect_error', LIMIT, 'connect or connect_error');
  }

  /** The first argument of the first `event` that passes `test`. */
  async sees(event, test = () => true, limit = LIMIT) {
    return (await this.seesEntry((e) => e.event === event && test(e.data), limit, event)).data;
  }

  /** The first arguments of the first `count` such events. */
  async seesMany(event, count, test = () => true, limit = LIMIT) {
    const enough = () => {
      const found = this.seen(event, test);
      return found.length >= count && found.slice(0, count);
    };
    return this.#when(enough, enough, limit, () => `${event} ${count} times but ${this.seen(event, test).length}`);
  }

  /** The `response` with this content. */
  async seesMessage(content, limit = LIMIT) {
    return (await this.sees('response', (e) => e.response?.content === content, limit)).response;
  }

  /** That `event` has not come and does not come for `ms` from now. */
  async seesNothing(event, ms = 400, test = () => true) {
    await sleep(ms);
    assert.deepEqual(this.seen(event, test).map((data) => brief(data)), [], `${this.name} should see no ${event}`);
  }

  /** The reason of the disconnect. */
  disconnects(limit = LIMIT) {
    return this.sees('disconnect', () => true, limit);
  }

  /** What came of `event` so far. */
  seen(event, test = () => true) {
    return this.log.filter((e) => e.event === event && test(e.data)).map((e) => e.data);
  }

  /** The messages that came so far, of one room or of all. */
  messages(roomId) {
    return this.seen('response')
      .map((e) => e.response)
      .filter((message) => roomId === undefined || message.roomId === roomId);
  }

  /** Everything before now counts as never seen. */
  forgets() {
    this.log.length = 0;
  }

  /** Acknowledges the message by hand (for `acks: false`). */
  acknowledges(message) {
    const entry = this.log.find((e) => e.ack && e.data.response.messageId === message.messageId);
    assert.ok(entry, `${this.name} was never asked to acknowledge ${brief(message)}`);
    entry.ack({ success: true, receiver: this.name });
  }

  /** What `now()` gives, or else what `next(entry)` gives for an entry to come. */
  #when(now, next, limit, what) {
    const there = now();
    if (there) return Promise.resolve(there);
    return new Promise((resolve, reject) => {
      const waiter = (entry) => {
        const value = next(entry);
        if (!value) return;
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        resolve(value);
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        const missing = typeof what === 'function' ? what() : what;
        reject(new Error(`${this.name} did not see ${missing} within ${limit} ms${this.#story()}`));
      }, limit);
      this.#waiters.add(waiter);
    });
  }

  // ---- checking

  /** Holds everything that comes against the contract, on its way to the socket. */
  #checks(namespace) {
    const EVENT = 2;
    const ACK = 3;
    const { socket } = this;
    const send = socket.packet;
    socket.packet = (packet) => {
      if (packet.type === EVENT && packet.id !== undefined) this.#asked.set(packet.id, packet.data[0]);
      return send.call(socket, packet);
    };
    socket.io.on('packet', ({ type, nsp, id, data }) => {
      if (nsp !== namespace) return;
      if (type === EVENT) checkEvent(namespace, data[0], data.slice(1));
      if (type === ACK) checkAnswer(namespace, this.#asked.get(id), data);
    });
  }

  // ---- writing down

  #arrived(event, args) {
    const ack = typeof args.at(-1) === 'function' ? args.at(-1) : undefined;
    this.#write(event, ack ? args.slice(0, -1) : args, ack);
    if (ack && event === 'response' && this.acks) ack({ success: true, receiver: this.name });
  }

  #write(event, args, ack) {
    const entry = { event, data: args[0], args, ack, at: Date.now() };
    this.log.push(entry);
    for (const waiter of [...this.#waiters]) waiter(entry);
  }

  #story() {
    const lines = this.log.slice(-25).map((e) => `  ${e.event} ${brief(e.data ?? null, 160)}`);
    const more = this.log.length > 25 ? `  (${this.log.length - 25} earlier)\n` : '';
    return `; ${this.name} saw:\n${more}${lines.join('\n') || '  nothing'}`;
  }
}

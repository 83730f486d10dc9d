// A WebSocket as a page has one (`new WebSocket(url)`, `onmessage`, `send`, `close`), with a memory.
// Node 20 has none of its own, so it is that of `ws`, of which nothing is used that browsers lack, but
// for `headers`, with which a browser would say where the page is from.
import assert from 'node:assert/strict';
import { WebSocket } from 'ws';
import { checkFrame } from './contract.mjs';
import { LIMIT, brief, until } from './waiting.mjs';

export class Page {
  frames = [];
  closed = null;
  #seen = new Set();
  /** The names of the events that have an id, by the id. */
  #asked = new Map();
  #isNative;

  constructor(server, path, { origin = 'http://localhost:3000', cookie } = {}) {
    const url = server.url.replace(/^http/, 'ws') + path;
    this.#isNative = /^\/ws(\?|$)/.test(path);
    this.socket = new WebSocket(url, { headers: { origin, ...(cookie && { cookie }) } });
    this.opened = new Promise((opened, failed) => {
      this.socket.onopen = opened;
      this.socket.onerror = ({ message }) => failed(new Error(message));
    });
    this.opened.catch(() => {});
    this.socket.onmessage = ({ data }) => {
      assert.equal(typeof data, 'string', 'only text is sent');
      const frame = JSON.parse(data);
      this.frames.push(frame);
      if (this.#isNative) checkFrame(frame, this.#asked);
      this.heard?.(frame);
    };
    this.socket.onclose = ({ code, wasClean }) => (this.closed = { code, wasClean });
    // As every other connection, it is closed when its test ends.
    server.connections.add(this);
  }

  async open() {
    await this.opened;
    return this;
  }

  send(frame) {
    if (frame.event !== undefined) this.#asked.set(JSON.stringify(frame.id), frame.event);
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  /** A frame that was not seen yet. */
  sees(what, wanted) {
    return until(`${what}; frames: ${brief(this.frames.slice(-5), 1500)}`, () => {
      const frame = this.frames.find((frame) => !this.#seen.has(frame) && wanted(frame));
      if (frame) this.#seen.add(frame);
      return frame;
    }, LIMIT);
  }

  isClosed() {
    return until('the close', () => this.closed);
  }

  close() {
    this.socket.close();
  }
}

/** The few lines that a page needs to speak the native events: requests, answers, acknowledgements. */
export class Chat extends Page {
  #last = 0;
  #waiting = new Map();

  constructor(person, query = '') {
    super(person.server, `/ws?token=${encodeURIComponent(person.token)}${query}`);
  }

  heard({ event, id, reply, data }) {
    if (reply !== undefined) {
      this.#waiting.get(reply)?.(data);
      this.#waiting.delete(reply);
    } else if (event === 'response' && id !== undefined) {
      this.send({ reply: id, data: { success: true } });
    }
  }

  emit(event, data) {
    const id = ++this.#last;
    return new Promise((answered) => {
      this.#waiting.set(id, answered);
      this.send({ event, data, id });
    });
  }

  async asks(event, data) {
    const answer = await this.emit(event, data);
    assert.equal(answer.success, true, JSON.stringify(answer));
    return answer.response;
  }

  seesEvent(event, wanted = () => true) {
    return this.sees(event, (frame) => frame.event === event && wanted(frame.data)).then(({ data }) => data);
  }

  seqs(room) {
    const messages = this.frames.filter(({ event }) => event === 'response').map(({ data }) => data.response);
    return messages.filter(({ roomId }) => roomId === room).map(({ seq }) => seq);
  }
}

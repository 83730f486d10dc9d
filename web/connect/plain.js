// The connector over plain WebSockets: JSON frames on /ws, opened with a ticket.

import { Refused, call, hasEnded } from '../session.js';

/** @import { Answer, Connector, Hooks } from '../types.js' */

/** How long an answer may take before the connection counts as dead. */
const PATIENCE = 15_000;
/** The shortest and the longest pause before another try. */
const PAUSE = [500, 5000];
/** The most rooms that the address can name in `since` and `changes`. */
const ROOMS = 100;
/** The server has ended the login. */
const LOGIN_ENDED = 4401;

/** @param {Hooks} hooks @returns {Connector} */
export function plain(hooks) {
  /** @type {WebSocket | null} */
  let socket = null;
  let isWanted = false;
  let isOpening = false;
  let tries = 0;
  let last = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {Map<number, { resolve: (answer: Answer) => void, reject: (error: Error) => void }>} */
  const waiting = new Map();

  async function open() {
    clearTimeout(timer);
    if (!isWanted || socket || isOpening) return;
    isOpening = true;
    try {
      await hooks.token();
      const { ticket } = await call('POST', '/api/auth/tickets');
      if (isWanted) listen(new WebSocket(address(ticket)));
    } catch (error) {
      if (hasEnded(error)) return hooks.ended();
      hooks.down();
      later(error instanceof Refused ? error.problem.retryAfterMs : undefined);
    } finally {
      isOpening = false;
    }
  }

  /** @param {string} ticket */
  function address(ticket) {
    const url = new URL('/ws', location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    url.searchParams.set('ticket', ticket);
    url.searchParams.set('receipts', 'batched');
    url.searchParams.set('since', JSON.stringify(hooks.since(ROOMS)));
    url.searchParams.set('changes', JSON.stringify(hooks.changes(ROOMS)));
    return url;
  }

  /** @param {WebSocket} fresh */
  function listen(fresh) {
    socket = fresh;
    fresh.onopen = () => {
      tries = 0;
      hooks.up();
    };
    fresh.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      if (frame.reply === undefined) {
        hooks.event(frame.event, frame.data);
        if (frame.id !== undefined) fresh.send(JSON.stringify({ reply: frame.id, data: { success: true } }));
        return;
      }
      waiting.get(frame.reply)?.resolve(frame.data);
      waiting.delete(frame.reply);
    };
    fresh.onclose = ({ code }) => {
      if (socket !== fresh) return;
      lost();
      if (code === LOGIN_ENDED) hooks.ended();
      else later();
    };
  }

  /** The connection is no more, whatever the browser believes. */
  function lost() {
    const old = socket;
    socket = null;
    old?.close();
    for (const { reject } of waiting.values()) reject(new Error('the connection has ended'));
    waiting.clear();
    hooks.down();
  }

  /** The browser has no network any more, and would not notice for long; a server on this machine answers at once. */
  function offline() {
    if (!socket) return;
    lost();
    later();
  }

  /** @param {number} [pause] what the server asks for */
  function later(pause = Math.min(PAUSE[0] * 2 ** tries, PAUSE[1]) * (0.5 + Math.random())) {
    if (!isWanted) return;
    tries += 1;
    clearTimeout(timer);
    timer = setTimeout(open, pause);
  }

  /** @type {Connector['request']} */
  const request = (event, data) =>
    new Promise((resolve, reject) => {
      if (socket?.readyState !== WebSocket.OPEN) return reject(new Error('not connected'));
      const [current, id] = [socket, (last += 1)];
      const timeout = setTimeout(() => {
        if (socket !== current || !waiting.has(id)) return;
        lost();
        later();
      }, PATIENCE);
      /** @template T @param {(value: T) => void} settle @returns {(value: T) => void} */
      const once = (settle) => (value) => {
        clearTimeout(timeout);
        settle(value);
      };
      waiting.set(id, { resolve: once(resolve), reject: once(reject) });
      current.send(JSON.stringify({ event, data, id }));
    });

  return {
    name: 'WebSocket',
    open: () => {
      isWanted = true;
      addEventListener('offline', offline);
      void open();
    },
    close: () => {
      isWanted = false;
      removeEventListener('offline', offline);
      clearTimeout(timer);
      if (socket) lost();
    },
    check: () => {
      if (socket) request('delivered', { rooms: {} }).catch(() => {});
      else void open();
    },
    request,
    send: (event, data) => {
      if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ event, data }));
    },
  };
}

// The connector over the stock Socket.IO client, namespace /chat.

import { hasEnded } from '../session.js';

/** @import { Answer, Connector, Hooks } from '../types.js' */

/** How long an answer may take before the connection counts as dead. */
const PATIENCE = 15_000;
/** The most rooms that a connection names in `since` and `changes`. */
const ROOMS = 1000;

/** @param {Hooks} hooks @returns {Promise<Connector>} */
export async function socketIo(hooks) {
  const { io } = await import('/socket.io/socket.io.esm.min.js');
  const socket = io('/chat', {
    autoConnect: false,
    auth: (give) => {
      hooks.token().then(
        (token) => give({ token, since: hooks.since(ROOMS), changes: hooks.changes(ROOMS), receipts: 'batched' }),
        // The client tries again by itself when its connection ends.
        (error) => (hasEnded(error) ? hooks.ended() : socket.io.engine.close()),
      );
    },
  });
  let isUp = false;
  let isWanted = false;
  /** @param {number} pause */
  const later = (pause) => void setTimeout(() => isWanted && socket.connect(), pause);

  socket.on('connect', () => {
    isUp = true;
    hooks.up();
  });
  socket.on('disconnect', () => {
    isUp = false;
    hooks.down();
    // The server has ended it: the next connection tells whether the login has ended, too.
    if (!socket.active) later(500);
  });
  socket.on('connect_error', (error) => {
    hooks.down();
    // What the client does not try again is final.
    if (!socket.active && /^(token|ticket)_/.test(error.message)) hooks.ended();
    else if (!socket.active) later(5000);
  });
  socket.onAny((event, data) => hooks.event(event, data));

  /** @type {Connector['request']} */
  const request = (event, data) =>
    new Promise((resolve, reject) => {
      if (!isUp) return reject(new Error('not connected'));
      socket.timeout(PATIENCE).emit(event, data, (/** @type {Error | null} */ error, /** @type {Answer} */ answer) => {
        if (!error) return resolve(answer);
        if (isUp) socket.io.engine.close();
        reject(error);
      });
    });

  return {
    name: 'Socket.IO',
    open: () => {
      isWanted = true;
      socket.connect();
    },
    close: () => {
      isWanted = false;
      socket.disconnect();
    },
    check: () => void request('delivered', { rooms: {} }).catch(() => {}),
    request,
    send: (event, data) => void (isUp && socket.volatile.emit(event, data)),
  };
}

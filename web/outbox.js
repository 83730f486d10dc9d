// What was written here goes out once and in order: it is on the disk before it is sent, it keeps its
// `clientMessageId`, and the next one of a conversation waits for its answer.

import { address, request } from './connection.js';
import * as database from './database.js';
import { receive } from './inbox.js';
import { changed, placeOf, state } from './store.js';

/** @import { Message, Problem, Unsent } from './types.js' */

/** Refusals that pass. */
const PASSING = ['rate_limited', 'unavailable', 'internal'];
/** The pause after one of them. */
const PAUSE = 2000;

/** The conversations that are being sent to. @type {Set<string>} */
const running = new Set();
let written = 0;

/** Takes over what an earlier page could not send. */
export async function load() {
  state.unsent = await database.unsent();
  changed('places');
}

/**
 * @param {string} key @param {string} content
 * @param {Pick<Unsent, 'replyTo' | 'thread' | 'alsoInRoom'>} [more]
 */
export async function write(key, content, more = {}) {
  written += 1;
  /** @type {Unsent} */
  const entry = { id: crypto.randomUUID?.() ?? randomId(), key, content, ...more, at: Date.now(), order: written };
  state.unsent.push(entry);
  const place = placeOf(key);
  state.places.set(key, place);
  changed('places', `timeline ${key}`);
  await database.keepUnsent(entry);
  void flush(key);
}

/** Where the page does not come over TLS, browsers have no randomUUID. */
function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Sends everything that waits. */
export function flushAll() {
  for (const key of new Set(state.unsent.map((entry) => entry.key))) void flush(key);
}

/** @param {string} key */
async function flush(key) {
  if (running.has(key)) return;
  running.add(key);
  try {
    for (;;) {
      const entry = state.unsent.find((entry) => entry.key === key && !entry.problem && !entry.stored);
      if (!entry || state.status !== 'online') return;
      const answer = await request(...event(entry));
      if (answer.success) confirm(entry, answer.response);
      else if (PASSING.includes(answer.error.code)) {
        await new Promise((resolve) => setTimeout(resolve, answer.error.retryAfterMs ?? PAUSE));
      } else fail(entry, answer.error);
    }
  } catch {
    // The connection has ended. The next one goes on here.
  } finally {
    running.delete(key);
  }
}

/** @param {Unsent} entry @returns {[string, object]} */
function event({ id, key, content, replyTo, thread, alsoInRoom }) {
  const message = { content, clientMessageId: id, ...(replyTo && { replyTo }), ...(thread && { thread, alsoInRoom: alsoInRoom ?? false }) };
  if (key === 'lobby') return ['lobbyMessage', message];
  return [key.startsWith('g:') ? 'groupMessage' : 'privateMessage', { ...message, ...address(key) }];
}

/** @param {Unsent} entry @param {Message} message */
function confirm(entry, message) {
  entry.stored = true;
  const { last } = placeOf(entry.key);
  // Usually the message itself came before its answer. Else it comes with those before it.
  if (message.seq === last + 1 || message.seq <= last) receive(message, entry.key === 'lobby');
  changed(`timeline ${entry.key}`);
}

/** @param {Unsent} entry @param {Problem} problem */
function fail(entry, problem) {
  entry.problem = problem;
  changed('places', `timeline ${entry.key}`);
  void database.keepUnsent(entry);
}

/** Tries a refused one again. @param {Unsent} entry */
export function retry(entry) {
  delete entry.problem;
  changed(`timeline ${entry.key}`);
  void database.keepUnsent(entry);
  void flush(entry.key);
}

/** @param {Unsent} entry */
export function discard(entry) {
  state.unsent = state.unsent.filter((other) => other !== entry);
  changed('places', `timeline ${entry.key}`);
  void database.dropUnsent(entry.id);
}

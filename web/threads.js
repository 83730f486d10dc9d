// Threads: which messages are in one, what of them is read, and how many have something new.

import { address, ask } from './connection.js';
import { changed, placeOf } from './store.js';

/** @import { Message, Place, Unsent } from './types.js' */

/** How long to wait for more replies before the server is asked what is unread. */
const PAUSE = 300;
/** How many threads with unread replies are counted. */
const MOST = 100;

/** @type {Map<string, ReturnType<typeof setTimeout>>} */
const asking = new Map();

/** Whether a message is shown in its thread alone. @param {Message | Unsent} message */
export const isAside = ({ thread, alsoInRoom }) => Boolean(thread && !alsoInRoom);

/** Asks soon how many threads have unread replies: only the server knows whom they concern. @param {Place} place */
export function recount({ key, kind }) {
  if (kind === 'lobby') return;
  clearTimeout(asking.get(key));
  asking.set(key, setTimeout(() => void count(key), PAUSE));
}

/** @param {string} key */
async function count(key) {
  asking.delete(key);
  try {
    const { threads } = await ask('threads', { ...address(key), unread: true, limit: MOST });
    placeOf(key).unreadThreads = threads.length;
    changed('places');
  } catch {
    // Without a connection the next list says it.
  }
}

/** The replies of a thread were read. @param {string} key @param {string} thread @param {number} seq */
export async function markThreadRead(key, thread, seq) {
  if (key === 'lobby') return;
  await ask('markRead', { ...address(key), seq, thread });
  recount(placeOf(key));
}

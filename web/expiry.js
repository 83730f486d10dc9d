// Messages that disappear: at their time this device shows nothing of them and keeps nothing, with or without the server.

import { keep } from './inbox.js';
import { changed } from './store.js';

/** @import { Message, Place } from './types.js' */

/** Browsers take no longer time. */
const LONGEST = 2 ** 31 - 1;

/** What is to disappear. @type {Map<Message, Place>} */
const waiting = new Map();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** @param {Message} message */
const timeOf = (message) => Date.parse(message.expiresAt ?? '');

/** Whether nothing is to be seen of a message: nobody has deleted it, its time was over. @param {Message} message */
export const isOver = ({ deletedAt, deletedBy }) => Boolean(deletedAt && !deletedBy);

/** @param {Place} place @param {Message[]} messages */
export function watch(place, messages) {
  const some = messages.filter((message) => message.expiresAt && !message.deletedAt);
  for (const message of some) waiting.set(message, place);
  if (some.length > 0) expire();
}

function expire() {
  clearTimeout(timer);
  const now = Date.now();
  for (const [message, place] of waiting) {
    if (timeOf(message) > now) continue;
    waiting.delete(message);
    if (message.deletedAt || !message.expiresAt) continue;
    // Its place among the others stays.
    Object.assign(message, { content: '', deletedAt: message.expiresAt });
    keep(place, [message]);
    changed('places', `timeline ${place.key}`);
  }
  const next = Math.min(...[...waiting.keys()].map(timeOf));
  if (next < Infinity) timer = setTimeout(expire, Math.min(next - now + 5, LONGEST));
}

export function forgetAll() {
  clearTimeout(timer);
  waiting.clear();
}

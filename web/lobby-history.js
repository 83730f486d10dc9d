// The lobby: everyone is in it, and it has no receipts, so this device itself asks for what it has missed: messages,
// and what was changed of those that it has.

import { fetchAfter } from './changes.js';
import { history } from './heard.js';
import { keep, receive } from './inbox.js';
import { placeOf, state } from './store.js';
import { meetUnknown } from './people.js';

/** @import { Message } from './types.js' */

/** How many pages of missed messages are loaded before only the newest are. */
const PAGES = 3;

/** Messages that came while older ones are loaded; none when the lobby is complete. @type {Message[] | null} */
let early = null;

/** @param {Message} message */
export function lobbyMessage(message) {
  meetUnknown([message.sender]);
  if (early) early.push(message);
  else receive(message, true);
}

/** Loads what was missed. */
export async function catchUp() {
  early ??= [];
  const place = placeOf('lobby');
  const isNew = place.last === 0;
  try {
    let isComplete = isNew;
    for (let page = 0; page < PAGES && !isComplete; page += 1) isComplete = await take({ after: place.last });
    if (isNew || !isComplete) await take({});
    if (!isNew) place.change = await fetchAfter(place, place.change ?? 0);
    keep(place);
  } finally {
    const late = early ?? [];
    early = null;
    for (const message of late) receive(message, true);
  }
  // Nobody has unread what was said before the first visit.
  if (isNew) Object.assign(placeOf('lobby'), { read: place.last, unread: 0 });
}

/** @param {{ after?: number }} span @returns {Promise<boolean>} whether there is no more */
async function take(span) {
  const { messages, hasMore, change = 0 } = await history({ lobby: true, limit: 200, changes: true, ...span });
  if (!state.me) return true;
  const place = placeOf('lobby');
  // The first page shows all changes so far.
  if (place.last === 0) place.change = change;
  meetUnknown(messages.map((message) => message.sender));
  for (const message of messages) receive(message, true);
  return !hasMore;
}

// What was done to messages after they were sent: how far this device has heard of it, what comes, and what the user does.

import { address, ask } from './connection.js';
import { apply } from './database.js';
import { history, tellReaders } from './heard.js';
import * as inbox from './inbox.js';
import { changed, placeOfRoom, state } from './store.js';

/** @import { Message, MessageChanged, Place, SyncedUpTo } from './types.js' */

/** The most recent conversations of which this device has messages. @param {number} most @returns {Place[]} */
export function known(most) {
  const places = [...state.places.values()].filter((place) => place.kind !== 'lobby' && place.roomId && place.last);
  places.sort((a, b) => (b.lastMessage?.timestamp ?? '').localeCompare(a.lastMessage?.timestamp ?? ''));
  return places.slice(0, most);
}

/** What a connection says that this device has. @param {number} most */
export const cursors = (most) =>
  Object.fromEntries(known(most).map((place) => [place.roomId, { change: place.change ?? 0, from: place.first }]));

/** @param {MessageChanged} changed */
export function heard({ roomId, messageId, seq, change, set }) {
  const place = placeOfRoom(roomId);
  const now = { messageId, seq, change, set };
  tellReaders(now);
  const quote = state.quotes.get(messageId);
  if (quote) apply(quote, now);
  if ('pinnedAt' in set || 'content' in set || set.deletedAt) changed('pins');
  if (place) inbox.alter(place, now);
}

/** Returns the conversations that have to be read again. @param {Record<string, SyncedUpTo>} rooms @returns {Place[]} */
export function synced(rooms) {
  const again = [];
  for (const [roomId, { change, reset }] of Object.entries(rooms)) {
    const place = placeOfRoom(roomId);
    // Of the lobby nothing is sent again: see `lobby-history`.
    if (!place || place.kind === 'lobby') continue;
    if (reset) again.push(place);
    place.change = reset ? change : Math.max(place.change ?? 0, change);
    inbox.keep(place);
  }
  return again;
}

/** Asks for the changes after one, which the server does not send by itself. @param {Place} place @param {number} after */
export async function fetchAfter(place, after) {
  for (let more = true; more; ) {
    /** @type {{ changes: MessageChanged[], change: number, more: boolean }} */
    const page = await ask('changes', { roomId: place.roomId, after, from: place.first, limit: 200 });
    for (const change of page.changes) heard(change);
    ({ change: after, more } = page);
  }
  return after;
}

/** Whether the user runs a group, as its owner and its admins do, or the lobby, as the server's admins do. @param {Place} place */
const isModerator = (place) =>
  place.kind === 'lobby' ? Boolean(state.me.isAdmin) : place.group?.owner === state.me.username || (place.role ?? 'member') !== 'member';

/** Whether the user may delete a message. @param {Message} message @param {Place} place */
export const mayDelete = (message, place) => message.sender === state.me.username || isModerator(place);

/** @param {Place} place */
export const mayPin = (place) => place.kind === 'direct' || isModerator(place);

/** @param {Message} message @param {boolean} on */
export const pin = ({ messageId }, on) => ask('pinMessage', { messageId, on });

/** The pinned messages of a conversation, newest first. @param {string} key @returns {Promise<Message[]>} */
export async function pinned(key) {
  const { messages } = await history({ ...address(key), pinned: true, limit: 200 });
  return messages.reverse();
}

/** Whether the user has reacted with a key; the server names only the first users. @param {Message} message @param {string} key */
export function hasReacted(message, key) {
  const reactions = message.reactions?.find((each) => each.key === key);
  if (!reactions) return false;
  const isNamed = reactions.users.includes(state.me.username);
  return isNamed || (reactions.count > reactions.users.length && Boolean(message.myReactions?.includes(key)));
}

/** @param {Message} message @param {string} key */
export const react = (message, key) =>
  ask('react', { messageId: message.messageId, key, on: !hasReacted(message, key) });

/** @param {Message} message @param {string} content */
export const edit = ({ messageId }, content) => ask('editMessage', { messageId, content });

/** @param {Message} message */
export const remove = ({ messageId }) => ask('deleteMessage', { messageId });

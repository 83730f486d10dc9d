// What was done to messages after they were sent: how far this device has heard of it, what comes, and what the user does.

import { ask } from './connection.js';
import * as inbox from './inbox.js';
import { state } from './store.js';

/** @import { Change, Message, MessageChanged, Place, SyncedUpTo } from './types.js' */

/** The most recent conversations of which this device has messages. @param {number} most @returns {Place[]} */
export function known(most) {
  const places = [...state.places.values()].filter((place) => place.kind !== 'lobby' && place.roomId && place.last);
  places.sort((a, b) => (b.lastMessage?.timestamp ?? '').localeCompare(a.lastMessage?.timestamp ?? ''));
  return places.slice(0, most);
}

/** What a connection says that this device has. @param {number} most */
export const cursors = (most) =>
  Object.fromEntries(known(most).map((place) => [place.roomId, { change: place.change ?? 0, from: place.first }]));

/** @param {string} roomId */
const byRoom = (roomId) => [...state.places.values()].find((place) => place.roomId === roomId);

/** @param {MessageChanged} changed */
export function heard({ roomId, seq, change, set }) {
  const place = byRoom(roomId);
  if (place) inbox.alter(place, { seq, change, set });
}

/** Returns the conversations that have to be read again. @param {Record<string, SyncedUpTo>} rooms @returns {Place[]} */
export function synced(rooms) {
  const again = [];
  for (const [roomId, { change, reset }] of Object.entries(rooms)) {
    const place = byRoom(roomId);
    if (!place) continue;
    if (reset) again.push(place);
    place.change = reset ? change : Math.max(place.change ?? 0, change);
    inbox.keep(place);
  }
  return again;
}

/** Asks for the changes that a page may lack: it was read before they came. @param {Place} place @param {number} after */
export async function fetchAfter(place, after) {
  for (let more = true; more; ) {
    /** @type {{ changes: Change[], change: number, more: boolean }} */
    const page = await ask('changes', { roomId: place.roomId, after, limit: 200 });
    for (const { seq, change, set } of page.changes) inbox.alter(place, { seq, change, set });
    ({ change: after, more } = page);
  }
}

/** Whether the user may delete a message. @param {Message} message @param {Place} place */
export function mayDelete(message, place) {
  const isMine = message.sender === state.me.username;
  return isMine || (place.kind === 'group' && place.group?.owner === state.me.username);
}

/** Whether the user has reacted with a key; the server names only the first users. @param {Message} message @param {string} key */
export function hasReacted(message, key) {
  const reactions = message.reactions?.find((each) => each.key === key);
  if (!reactions) return false;
  const isNamed = reactions.users.includes(state.me.username);
  return isNamed || (reactions.count > reactions.users.length && Boolean(message.myReactions?.includes(key)));
}

/** @param {Message} message @param {string} key */
export const react = ({ messageId, ...message }, key) =>
  ask('react', { messageId, key, on: !hasReacted(/** @type {Message} */ ({ messageId, ...message }), key) });

/** @param {Message} message @param {string} content */
export const edit = ({ messageId }, content) => ask('editMessage', { messageId, content });

/** @param {Message} message */
export const remove = ({ messageId }) => ask('deleteMessage', { messageId });

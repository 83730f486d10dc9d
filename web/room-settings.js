// The user's own settings of a conversation, the same on all devices of the user.

import { address, ask } from './connection.js';
import { keep } from './inbox.js';
import { changed, placeOf, state } from './store.js';

/** @import { Place, Room, RoomFields, SetRoom } from './types.js' */

const FIELDS = /** @type {const} */ (['markedUnread', 'archived', 'notify', 'mutedUntil', 'draft', 'disappearAfter', 'unreadMentions', 'unreadThreads']);

/** What the server says of a conversation; what it leaves out is at its default. @param {Place} place @param {Room} room */
export function takeSettings(place, room) {
  assume(place, Object.fromEntries(FIELDS.map((name) => [name, room[name] ?? null])));
}

/** @param {Place} place @param {RoomFields} set */
export function assume(place, set) {
  const before = JSON.stringify(place.draft);
  for (const name of FIELDS) {
    if (set[name] === null) delete place[name];
    else if (set[name] !== undefined) Object.assign(place, { [name]: set[name] });
  }
  if (set.read !== undefined) place.read = Math.max(place.read, set.read);
  // What came before this is in it.
  if (set.unread !== undefined) Object.assign(place, { unread: set.unread, counted: place.last });
  if (JSON.stringify(place.draft) !== before) changed(`draft ${place.key}`);
  keep(place);
  changed('places');
}

/** @param {string} key @param {Omit<SetRoom, 'receiver' | 'group'>} set */
export async function setRoom(key, set) {
  takeSettings(placeOf(key), await ask('setRoom', { ...address(key), ...set }));
}

/** @param {string} key @param {number} seconds 0 for never */
export async function setDisappearing(key, seconds) {
  takeSettings(placeOf(key), await ask('setDisappearing', { ...address(key), seconds: seconds || null }));
}

/** Whether new messages are not to be noticed. @param {Place} place */
export const isMuted = (place) => place.notify === 'none' || Date.parse(place.mutedUntil ?? '') > Date.now();

/** Whether this device can tell the server of a conversation: there is one, and it is not everyone's. @param {string} key */
export const hasSettings = (key) => key !== 'lobby' && Boolean(state.places.get(key)?.roomId);

// What is known of people: names, who is online, who types, who has read what.

import { call } from './session.js';
import { changed, meet, state } from './store.js';

/** @import { Member, Place, User } from './types.js' */

/** How long somebody is typing after the last word of it. */
const TYPING = 6000;
/** How many people this device remembers, for a start without the server. */
const KEPT = 300;

/** Who was asked for. @type {Set<string>} */
const asked = new Set();
/** Up to where each member of a group has read. @type {Map<string, Map<string, number>>} */
const readers = new Map();

/** @param {User[]} users */
export function meetAll(users) {
  for (const user of users) meet(user);
  changed('people');
}

const slot = () => `parlor.people.${state.me.id}`;

/** @returns {User[]} */
export function kept() {
  try {
    const users = JSON.parse(localStorage.getItem(slot()) ?? '[]');
    return users.map((/** @type {User} */ user) => ({ ...user, isOnline: false }));
  } catch {
    return [];
  }
}

export function keepSome() {
  const users = [...state.people.values()].slice(-KEPT);
  const short = users.map(({ id, username, firstName, lastName, lastSeen }) => ({ id, username, firstName, lastName, lastSeen }));
  try {
    localStorage.setItem(slot(), JSON.stringify(short));
  } catch {
    // No room: names are asked for again.
  }
}

export const forgetKept = () => localStorage.removeItem(slot());

/** Asks for somebody, once. @param {string} username */
export async function find(username) {
  if (asked.has(username)) return;
  asked.add(username);
  try {
    meetAll([await call('GET', `/api/users/${encodeURIComponent(username)}`)]);
    changed('places');
  } catch {
    asked.delete(username);
  }
}

/** @param {string[]} usernames */
export function meetUnknown(usernames) {
  for (const name of new Set(usernames)) if (!state.people.has(name)) void find(name);
}

/** @param {string} username @param {boolean} online @param {string | null} lastSeen */
export function isOnline(username, online, lastSeen) {
  const known = state.people.get(username);
  if (!known) return;
  state.people.set(username, { ...known, isOnline: online, lastSeen: lastSeen ?? known.lastSeen });
  changed('people');
}

/** @param {string} key @param {string} username @param {boolean} typing */
export function types(key, username, typing) {
  const all = state.typing.get(key) ?? new Map();
  state.typing.set(key, all);
  if (typing) {
    all.set(username, Date.now() + TYPING);
    setTimeout(() => {
      if ((all.get(username) ?? Infinity) > Date.now()) return;
      all.delete(username);
      changed(`typing ${key}`, 'places');
    }, TYPING + 50);
  } else all.delete(username);
  changed(`typing ${key}`, 'places');
}

/** @param {Place} place @param {string} username @param {number} seq */
export function hasRead(place, username, seq) {
  if (place.kind === 'direct') {
    place.readTo = Math.max(place.readTo, seq);
    return;
  }
  const marks = readers.get(place.key) ?? new Map();
  readers.set(place.key, marks.set(username, Math.max(marks.get(username) ?? 0, seq)));
  byAll(place);
}

/** The members of a group, as the server lists them. @param {Place} place @param {Member[]} members */
export function areMembers(place, members) {
  const marks = readers.get(place.key) ?? new Map();
  for (const { username, read } of members) marks.set(username, Math.max(marks.get(username) ?? 0, read));
  place.role = members.find(({ username }) => username === state.me.username)?.role ?? 'member';
  for (const username of marks.keys()) if (!members.some((member) => member.username === username)) marks.delete(username);
  readers.set(place.key, marks);
  byAll(place);
}

/** Read by all is what everybody else has read, once everybody is known. @param {Place} place */
function byAll(place) {
  const marks = new Map(readers.get(place.key));
  marks.delete(state.me.username);
  if (!place.group || marks.size < place.group.memberCount - 1 || marks.size === 0) return;
  place.readTo = Math.max(place.readTo, Math.min(...marks.values()));
}

// What the views show, and who is told when it changes. `sync` and `outbox` change it.

/** @import { Facts, Message, Place, Status, Timeline, Topic, Unsent, User } from './types.js' */

export const state = {
  /** @type {Facts} */
  facts: { version: '', signUp: false, socketIo: false, webSocket: true, contentBytes: 16384, hasCookie: false },
  /** @type {User} */
  me: /** @type {any} */ (null),
  /** @type {Status} */
  status: 'connecting',
  /** Which kind of connection is used. */
  connector: '',
  /** Whether the list of conversations is complete. */
  isListed: false,
  /** @type {Map<string, Place>} */
  places: new Map(),
  /** What is known of people, by username. @type {Map<string, User>} */
  people: new Map(),
  /** Open conversations. @type {Map<string, Timeline>} */
  timelines: new Map(),
  /** What the server has of open threads, by their root. @type {Map<string, Message[]>} */
  threads: new Map(),
  /** Who is typing, until when. @type {Map<string, Map<string, number>>} */
  typing: new Map(),
  /** Messages that replies answer; `null` where there is none. @type {Map<string, Message | null>} */
  quotes: new Map(),
  /** In the order of writing. @type {Unsent[]} */
  unsent: [],
  /** The conversation on the screen. */
  open: '',
};

/** @type {Map<Topic, Set<() => void>>} */
const listeners = new Map();
/** @type {Set<Topic>} */
const pending = new Set();
let frame = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/**
 * @param {Topic | Topic[]} topics @param {() => void} listener
 * @param {AbortSignal} signal ends it
 */
export function on(topics, listener, signal) {
  for (const topic of [topics].flat()) {
    const all = listeners.get(topic) ?? new Set();
    listeners.set(topic, all.add(listener));
    signal.addEventListener('abort', () => all.delete(listener));
  }
}

/** Tells the views, once for all changes until the next frame. @param {Topic[]} topics */
export function changed(...topics) {
  if (pending.size === 0) {
    frame = requestAnimationFrame(tell);
    // A page that is not shown has no frames.
    timer = setTimeout(tell, 100);
  }
  for (const topic of topics) pending.add(topic);
}

function tell() {
  cancelAnimationFrame(frame);
  clearTimeout(timer);
  const topics = [...pending];
  pending.clear();
  const told = new Set(topics.flatMap((topic) => [...(listeners.get(topic) ?? [])]));
  for (const listener of told) listener();
}

/** Empties it for the next user. */
export function reset() {
  state.places.clear();
  state.people.clear();
  state.timelines.clear();
  state.threads.clear();
  state.typing.clear();
  state.quotes.clear();
  state.unsent = [];
  state.open = '';
  state.status = 'connecting';
  state.isListed = false;
}

/** @param {string} key @returns {Place} */
export function placeOf(key) {
  let place = state.places.get(key);
  if (!place) {
    place = { key, kind: 'lobby', first: 0, last: 0, read: 0, unread: 0, deliveredTo: 0, readTo: 0 };
    if (key.startsWith('u:')) Object.assign(place, { kind: 'direct', peer: key.slice(2) });
    if (key.startsWith('g:')) Object.assign(place, { kind: 'group', roomId: key.slice(2) });
  }
  return place;
}

/** @param {string} roomId */
export const placeOfRoom = (roomId) => [...state.places.values()].find((place) => place.roomId === roomId);

/** The display name of a user. @param {string} username */
export function nameOf(username) {
  const user = state.people.get(username);
  return user ? [user.firstName, user.lastName].filter(Boolean).join(' ') : username;
}

/** @param {User} user */
export function meet(user) {
  state.people.set(user.username, { ...state.people.get(user.username), ...user });
}

/** Conversations with something in them, and the lobby; most recent first. @returns {Place[]} */
export function conversations() {
  const waiting = new Map(state.unsent.map((entry) => [entry.key, entry.at]));
  /** @param {Place} place */
  const at = (place) => Math.max(Date.parse(place.lastMessage?.timestamp ?? '') || 0, waiting.get(place.key) ?? 0);
  const shown = [...state.places.values()].filter(
    (place) => place.kind !== 'direct' || place.lastMessage || waiting.has(place.key),
  );
  return shown.sort((a, b) => at(b) - at(a));
}

// Takes messages in: into the store, onto the disk, and only then tells the server that they have arrived.

import * as connection from './connection.js';
import * as database from './database.js';
import { apply } from './database.js';
import { watch } from './expiry.js';
import { mentionsMe } from './mentioned.js';
import { changed, placeOf, state } from './store.js';
import { isAside, recount } from './threads.js';

/** @import { Change, Message, Place } from './types.js' */

/** How often at most the server is told what has arrived. */
const PAUSE = 200;

/** What is not on the disk yet. @type {Map<Place, { messages: Message[], changes: Change[] }>} */
let pending = new Map();
/** What is being written there. @type {typeof pending} */
let leaving = new Map();
/** @type {string[]} */
let sent = [];
/** @type {Promise<void> | null} */
let writing = null;
/** What the server does not know yet. @type {Record<string, number>} */
let arrived = {};
/** @type {ReturnType<typeof setTimeout> | undefined} */
let telling;

/** Who hears of other people's new messages. @type {(place: Place, message: Message) => void} */
export let onNews = () => {};

/** @param {typeof onNews} listener */
export function whenNew(listener) {
  onNews = listener;
}

/** The conversation of a message. @param {Message} message @param {boolean} [isLobby] */
export function keyOf(message, isLobby) {
  if (isLobby) return 'lobby';
  if (message.group) return `g:${message.receiver}`;
  return `u:${message.sender === state.me.username ? message.receiver : message.sender}`;
}

/** @param {Message} message @param {boolean} [isLobby] */
export function receive(message, isLobby) {
  const place = placeOf(keyOf(message, isLobby));
  state.places.set(place.key, place);
  place.roomId ??= message.roomId;
  const isOwn = message.sender === state.me.username;
  if (message.clientMessageId && isOwn) settle(message.clientMessageId);
  marks(place, message);
  if (message.seq <= place.last) {
    tell(place);
    return;
  }
  const timeline = state.timelines.get(place.key);
  if (message.seq !== place.last + 1 || place.last === 0) {
    // Older messages are on the server: here, the conversation begins anew.
    place.first = message.seq;
    if (timeline) Object.assign(timeline, { messages: [], hasOlder: message.seq > 1 });
  }
  place.last = message.seq;
  // A page of the newest may have been ahead of the connection.
  if (timeline && message.seq > (timeline.messages.at(-1)?.seq ?? 0)) timeline.messages.push(message);
  if (message.thread && !isOwn) recount(place);
  if (!isAside(message) && (!place.lastMessage || place.lastMessage.seq <= message.seq)) place.lastMessage = message;
  if (!isOwn && !isAside(message) && message.seq > place.read) {
    if (message.seq > (place.counted ?? 0)) count(place, message);
    onNews(place, message);
  }
  if (!isOwn) state.typing.get(place.key)?.delete(message.sender);
  keep(place, [message]);
  watch(place, [message]);
  changed('places', `timeline ${place.key}`, `typing ${place.key}`);
}

/** @param {Place} place @param {Message} message */
function count(place, message) {
  place.unread += 1;
  if (mentionsMe(message)) place.unreadMentions = (place.unreadMentions ?? 0) + 1;
}

/** What a message says of the receipts of the user's own messages. @param {Place} place @param {Message} message */
export function marks(place, message) {
  if (message.sender !== state.me.username) return;
  if (message.deliveredToAll) place.deliveredTo = Math.max(place.deliveredTo, message.seq);
  if (message.readByAll) place.readTo = Math.max(place.readTo, message.seq);
}

/** A message that was written here is stored. @param {string} id */
function settle(id) {
  const at = state.unsent.findIndex((entry) => entry.id === id);
  if (at < 0) return;
  const [{ key }] = state.unsent.splice(at, 1);
  sent.push(id);
  changed('places', `timeline ${key}`);
  write();
}

/**
 * Puts messages of a conversation, changes of them, or only its state, onto the disk soon.
 * @param {Place} place @param {Message[]} [messages] @param {Change[]} [changes]
 */
export function keep(place, messages = [], changes = []) {
  const waiting = pending.get(place) ?? { messages: [], changes: [] };
  waiting.messages.push(...messages);
  waiting.changes.push(...changes);
  pending.set(place, waiting);
  write();
}

/** The changes of a conversation that are not on the disk yet. @param {Place} place */
export const unwritten = (place) => [leaving, pending].flatMap((waiting) => waiting.get(place)?.changes ?? []);

/** A message was changed. @param {Place} place @param {Change} change */
export function alter(place, change) {
  const isIt = (/** @type {Message | undefined} */ message) => message?.messageId === change.messageId;
  const shown = state.timelines.get(place.key)?.messages.find(isIt);
  const waiting = pending.get(place)?.messages.filter(isIt) ?? [];
  const aside = [...state.threads.values()].flatMap((messages) => messages.filter(isIt));
  const held = new Set([shown, isIt(place.lastMessage) ? place.lastMessage : undefined, ...waiting, ...aside]);
  for (const message of held) if (message) apply(message, change);
  const isGone = change.set.deletedAt && change.seq > place.read && change.seq <= place.last;
  if (isGone && shown && !isAside(shown) && shown.sender !== state.me.username) place.unread = Math.max(0, place.unread - 1);
  // The lobby's are not repeated to a connection: there, `lobby-history` says what this device has.
  if (place.kind !== 'lobby') place.change = Math.max(place.change ?? 0, change.change);
  keep(place, [], [change]);
  changed('places', `timeline ${place.key}`);
}

/** What is held of a conversation may be out of date: it is read again. @param {Place} place */
export async function restart(place) {
  pending.delete(place);
  await writing;
  await database.dropMessages(place.key);
  place.first = place.last + 1;
  const timeline = state.timelines.get(place.key);
  if (timeline) Object.assign(timeline, { messages: [], hasOlder: true, isFresh: true });
  keep(place);
  changed(`timeline ${place.key}`);
}

/** Forgets a conversation. @param {string} key */
export async function forget(key) {
  const place = state.places.get(key);
  if (place) pending.delete(place);
  state.places.delete(key);
  state.timelines.delete(key);
  changed('places', `timeline ${key}`);
  await writing;
  await database.drop(key);
}

function write() {
  writing ??= new Promise((resolve) => setTimeout(resolve)).then(written).finally(() => {
    writing = null;
    if (pending.size > 0 || sent.length > 0) write();
  });
}

async function written() {
  const batch = [...pending].map(([place, waiting]) => ({ place: { ...place }, ...waiting }));
  const done = sent;
  leaving = pending;
  pending = new Map();
  sent = [];
  await database.keep(batch, done);
  leaving = new Map();
  for (const { place, messages } of batch) if (messages.length > 0) tell(place);
}

/** @param {Place} place */
function tell(place) {
  if (place.kind === 'lobby' || !place.roomId) return;
  arrived[place.roomId] = place.last;
  telling ??= setTimeout(tellNow, Object.keys(arrived).length === 1 ? 20 : PAUSE);
}

function tellNow() {
  const rooms = arrived;
  arrived = {};
  telling = undefined;
  // If the connection ends before, `since` says it on the next one.
  connection.request('delivered', { rooms }).catch(() => {});
}

/** Waits until everything is on the disk. */
export async function settled() {
  while (writing) await writing;
}

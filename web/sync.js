// Keeps the store in step with the server: what to do when a connection is up, and what each event means.

import * as changes from './changes.js';
import * as connection from './connection.js';
import * as database from './database.js';
import { forgetAll, watch } from './expiry.js';
import * as inbox from './inbox.js';
import { catchUp, lobbyMessage } from './lobby-history.js';
import * as outbox from './outbox.js';
import * as people from './people.js';
import { fetchQuotes } from './quotes.js';
import { assume, takeSettings } from './room-settings.js';
import * as session from './session.js';
import { changed, placeOf, placeOfRoom, state } from './store.js';
import * as timeline from './timeline.js';

/** @import { Group, Hooks, Place, Room, Status } from './types.js' */

/** @type {BroadcastChannel | null} */
let tabs = null;

/** @param {() => void} ended is called when the login has ended */
export async function start(ended) {
  const { me } = state;
  await database.open(me.id);
  for (const place of await database.places()) {
    state.places.set(place.key, place);
    if (place.lastMessage) watch(place, [place.lastMessage]);
    if (place.group?.users) people.meetAll(place.group.users);
  }
  for (const person of people.kept()) people.meetAll([person]);
  state.places.set('lobby', placeOf('lobby'));
  await outbox.load();
  changed('places');
  tabs = new BroadcastChannel(`parlor ${me.id}`);
  tabs.onmessage = ({ data }) => readElsewhere(data);
  await connection.connect(hooks(ended));
}

export async function stop() {
  connection.disconnect();
  forgetAll();
  tabs?.close();
  await inbox.settled();
}

/** @param {() => void} ended @returns {Hooks} */
const hooks = (ended) => ({
  token: session.token,
  since: (most) => Object.fromEntries(changes.known(most).map((place) => [place.roomId, place.last])),
  changes: changes.cursors,
  up() {
    become('online');
    void whenUp();
  },
  down: () => state.status !== 'displaced' && become('offline'),
  ended,
  event: (name, data) => events[name]?.(data),
});

/** @param {Status} status */
function become(status) {
  state.status = status;
  changed('status');
}

/** Connects again where another page has taken this one's place. */
export function useHere() {
  become('connecting');
  connection.reconnect();
}

async function whenUp() {
  outbox.flushAll();
  void fetchQuotes();
  try {
    await list();
    await catchUp();
    if (state.open) timeline.open(state.open);
  } catch {
    // The connection has ended again.
  }
}

/** Takes the list of conversations from the server. */
async function list() {
  /** @type {Set<string>} */
  const listed = new Set();
  const before = [...state.places.values()].filter((place) => place.kind === 'group');
  for (let after; ; ) {
    /** @type {Room[]} */
    const rooms = await connection.ask('listRooms', { limit: 200, ...(after && { after }) });
    for (const room of rooms) listed.add(take(room).key);
    after = rooms.at(-1)?.roomId;
    if (!after) break;
  }
  for (const place of before) if (!listed.has(place.key)) void inbox.forget(place.key);
  state.isListed = true;
  people.keepSome();
  changed('places', 'people');
}

/** @param {Room} room @returns {Place} */
function take(room) {
  if (room.kind === 'direct') people.meetAll([room.peer]);
  const place = placeOf(room.kind === 'group' ? `g:${room.group.groupId}` : `u:${room.peer.username}`);
  state.places.set(place.key, place);
  place.roomId = room.roomId;
  if (room.kind === 'group') place.group = { ...place.group, ...room.group };
  // It may have changed while this device was away.
  delete place.role;
  if (room.lastMessage && room.lastMessage.seq >= (place.lastMessage?.seq ?? 0)) place.lastMessage = room.lastMessage;
  if (room.lastMessage) {
    inbox.marks(place, room.lastMessage);
    watch(place, [room.lastMessage]);
    people.meetUnknown([room.lastMessage.sender]);
  }
  if (room.read >= place.read) Object.assign(place, { read: room.read, unread: room.unread, counted: room.lastSeq });
  else void connection.request('markRead', { ...connection.address(place.key), seq: place.read }).catch(() => {});
  takeSettings(place, room);
  return place;
}

/**
 * The user has seen everything of a conversation.
 * @param {string} key @param {boolean} [anyway] also if that is known: it is no longer marked as unread
 */
export function markRead(key, anyway = false) {
  const place = state.places.get(key);
  const last = Math.max(place?.last ?? 0, state.timelines.get(key)?.messages.at(-1)?.seq ?? 0);
  if (!place || (last <= place.read && !anyway)) return;
  Object.assign(place, { read: Math.max(last, place.read), unread: 0, unreadMentions: 0, markedUnread: false });
  inbox.keep(place);
  changed('places');
  tabs?.postMessage({ key, seq: last });
  if (key === 'lobby') return;
  // Without a connection the next list says it.
  connection.request('markRead', { ...connection.address(key), seq: last }).catch(() => {});
}

/** @param {{ key: string, seq: number }} read */
function readElsewhere({ key, seq }) {
  const place = state.places.get(key);
  if (!place || seq <= place.read) return;
  const isAll = seq >= place.last;
  Object.assign(place, { read: seq, ...(isAll && { unread: 0, unreadMentions: 0 }) });
  changed('places');
}

/** What the events of the server mean. @type {Record<string, (data: any) => void>} */
const events = {
  response: ({ response }) => {
    if (!state.people.has(response.sender)) void people.find(response.sender);
    inbox.receive(response);
  },
  lobby: ({ response }) => lobbyMessage(response),
  messageChanged: changes.heard,
  synced: ({ rooms }) => void readAgain(changes.synced(rooms)),
  updateDeliveryStatusOnConnection: ({ response }) => {
    const place = state.places.get(inbox.keyOf(response));
    if (!place) return;
    inbox.marks(place, response);
    inbox.keep(place);
    changed(`timeline ${place.key}`, 'places');
  },
  messageRead: ({ roomId, username, seq }) => {
    const place = placeOfRoom(roomId);
    if (!place) return;
    if (username === state.me.username) return readElsewhere({ key: place.key, seq });
    people.hasRead(place, username, seq);
    changed(`timeline ${place.key}`, 'places');
  },
  roomChanged: ({ roomId, set }) => {
    const place = placeOfRoom(roomId);
    if (place) assume(place, set);
  },
  onlineStatus: ({ username, online, lastSeen }) => people.isOnline(username, online, lastSeen),
  newgrp: ({ response }) => joined(response),
  roomsChanged: ({ response, change }) => {
    const key = `g:${response.groupId}`;
    const place = state.places.get(key);
    if (place && change === 'deleted') void inbox.forget(key);
    else if (place) place.group = { ...place.group, ...response };
    changed('groups', 'places', 'members');
  },
  memberJoined: () => changed('members'),
  memberChanged: ({ groupId, username, role }) => {
    const place = state.places.get(`g:${groupId}`);
    if (place && username === state.me.username) place.role = role;
    changed('members');
  },
  memberLeft: ({ groupId, username }) => {
    if (username === state.me.username) void inbox.forget(`g:${groupId}`);
    changed('members', 'groups');
  },
  typing: ({ sender, receiver, group, typing }) => people.types(group ? `g:${receiver}` : `u:${sender}`, sender, typing),
  'token-expiring': async () => {
    const token = await session.renew();
    await connection.request('refreshToken', { token });
  },
  displaced: () => {
    become('displaced');
    connection.pause();
  },
};

/** @param {Place[]} places */
async function readAgain(places) {
  for (const place of places) {
    await inbox.restart(place);
    if (state.open === place.key) timeline.open(place.key);
  }
}

/** The user is a member of a group now. @param {Group} group */
export function joined(group) {
  const place = placeOf(`g:${group.groupId}`);
  place.group = { ...place.group, ...group };
  if (group.users) people.meetAll(group.users);
  state.places.set(place.key, place);
  inbox.keep(place);
  changed('places', 'groups');
}

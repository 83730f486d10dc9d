// The chat without its looks: HTTP to sign in, one socket for the rest, and a state that the components show.
import { io, type Socket } from 'socket.io-client';
import type { AnswerTo, ClientToServerEvents, Conversation, Message, ServerToClientEvents, SignIn } from 'parlor';

/** A built page is served by Parlor itself (`web.folder`). */
const server = import.meta.env.DEV ? 'http://localhost:8087' : location.origin;

/** A conversation: with a user, or in a group (then `receiver` is its id). */
export interface Room { receiver: string; group: boolean; name: string; roomId?: string; lastSeq: number; unread: number; last?: Message }
/** A message of one's own that the server has not confirmed. */
export interface Draft { id: string; room: string; text: string; problem?: string }

export interface State {
  me: string; isSignedIn: boolean; isOnline: boolean; notice: string;
  rooms: Room[]; open?: Room; drafts: Draft[];
  /** Of the rooms that were opened: their newest messages without a gap, and whether there are older ones. */
  messages: Record<string, Message[]>;
  hasOlder: Record<string, boolean>;
}
let state: State = { me: '', isSignedIn: false, isOnline: false, notice: '', rooms: [], messages: {}, hasOlder: {}, drafts: [] };
const listeners = new Set<() => void>();
export const current = () => state;
export const subscribe = (listener: () => void) => { listeners.add(listener); return () => listeners.delete(listener); };

function set(part: Partial<State>) {
  state = { ...state, ...part };
  for (const listener of listeners) listener();
}

export const keyOf = ({ receiver, group }: { receiver: string; group: boolean }) => (group ? 'g:' : 'u:') + receiver;
const roomOf = ({ group, receiver, sender }: Message) => keyOf({ group, receiver: group || sender === state.me ? receiver : sender });
const merge = (...lists: Message[][]) => [...new Map(lists.flat().map((message) => [message.seq, message])).values()].sort((a, b) => a.seq - b.seq);

let token = sessionStorage.getItem('token') ?? '';

async function post<T>(path: string, body?: object): Promise<T> {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
  const answer = await fetch(server + path, { method: 'POST', headers, body: body && JSON.stringify(body) });
  const result = await answer.json();
  if (!answer.ok) throw new Error(result.message);
  return result;
}

export async function signIn(username: string, password: string, isNew: boolean) {
  token = '';
  if (isNew) await post('/api/users', { username, password });
  const login = await post<SignIn>('/api/auth/login', { username, password });
  sessionStorage.setItem('token', (token = login.token));
  sessionStorage.setItem('me', login.user.username);
  if (!state.me || state.me === login.user.username) enter(login.user.username);
  else location.reload(); // What is not sent yet belongs to the user who wrote it.
}

const enter = (me: string) => { set({ me, isSignedIn: true, notice: '' }); socket.connect(); };

function loginEnded(notice: string) {
  token = '';
  sessionStorage.removeItem('token');
  socket.disconnect();
  set({ isSignedIn: false, isOnline: false, notice });
}

/** Of each room, the last message that this page has; the server sends what follows. A fresh page has nothing. */
const since = () => Object.fromEntries(state.rooms.flatMap((room) => (room.roomId ? [[room.roomId, state.messages[keyOf(room)]?.at(-1)?.seq ?? room.lastSeq]] : [])));

/** Its handlers are there before it connects. */
const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io(`${server}/chat`, {
  autoConnect: false, retries: 3, ackTimeout: 5000,
  auth: (give) => give({ token, since: since() }),
});
socket.on('connect', () => { set({ isOnline: true }); void list(); });
socket.on('disconnect', () => set({ isOnline: false }));
// After a break the client comes back by itself (`active`); after a refusal it does not.
socket.on('connect_error', ({ message }) => !socket.active && loginEnded(message.replace(/^\w+: /, '')));
socket.on('token-expiring', async () => {
  const fresh = await post<SignIn>('/api/auth/refresh').catch(() => undefined);
  if (!fresh) return; // `token-expired` follows.
  sessionStorage.setItem('token', (token = fresh.token));
  await ask('refreshToken', { token }).catch(() => undefined);
});
socket.on('token-expired', () => loginEnded('Your login has ended. Sign in again: nothing you wrote is lost.'));
socket.on('displaced', ({ response }) => set({ notice: response }));
socket.on('response', ({ response: message }, acknowledge) => { take(message); acknowledge?.({ success: true }); });
socket.on('updateDeliveryStatusOnConnection', ({ response }) => change(roomOf(response), ({ seq }) => seq === response.seq, { deliveredToAll: true }));
socket.on('messageRead', ({ receiver, group, username, seq }) => {
  if (username === state.me) return setRoom(keyOf({ receiver, group }), { unread: 0 });
  if (!group) change(keyOf({ receiver: username, group }), (message) => message.seq <= seq, { deliveredToAll: true, readByAll: true });
});
socket.on('messageChanged', ({ roomId, seq, set: fields }) => {
  const room = state.rooms.find((each) => each.roomId === roomId);
  if (room) change(keyOf(room), (message) => message.seq === seq, fields as Partial<Message>);
});
socket.on('newgrp', () => void list());

/** What the server answers if it agrees. */
async function ask<E extends keyof ClientToServerEvents>(event: E, payload: Parameters<ClientToServerEvents[E]>[0]) {
  const answer = (await socket.emitWithAck(event, ...([payload] as never))) as AnswerTo<E>;
  if (!answer.success) throw new Error(answer.error.message);
  return answer.response as Extract<AnswerTo<E>, { success: true }>['response'];
}

async function list() {
  const before = state.rooms;
  const room = ({ roomId, lastSeq, unread, lastMessage: last, ...each }: Conversation): Room => each.kind === 'group'
    ? { receiver: each.group.groupId, group: true, name: each.group.groupName, roomId, lastSeq, unread, last }
    : { receiver: each.peer.username, group: false, name: each.peer.username, roomId, lastSeq, unread, last };
  const listed = await ask('listRooms', {}).then((rooms) => rooms.map(room), () => undefined);
  if (!listed) return; // The next connection asks again.
  const newer = state.rooms.filter((each) => !before.includes(each)); // It has changed since this was asked: ask again.
  set({ rooms: [...newer, ...listed.filter((each) => !newer.some((other) => keyOf(other) === keyOf(each)))] });
  if (newer.length > 0) void list();
}

const setRoom = (key: string, fields: Partial<Room>) => set({ rooms: state.rooms.map((room) => (keyOf(room) === key ? { ...room, ...fields } : room)) });

function change(key: string, isMeant: (message: Message) => boolean, fields: Partial<Message>) {
  const messages = state.messages[key]?.map((message) => (isMeant(message) ? ({ ...message, ...fields } as Message) : message));
  if (messages) set({ messages: { ...state.messages, [key]: messages } });
}

function take(message: Message) {
  const key = roomOf(message);
  const isOpen = state.open && keyOf(state.open) === key;
  const known = state.rooms.find((room) => keyOf(room) === key) ?? { receiver: key.slice(2), group: message.group, name: key.slice(2), lastSeq: 0, unread: 0 };
  const isNews = message.seq > known.lastSeq && message.sender !== state.me && !isOpen;
  const room = { ...known, roomId: message.roomId, last: message, lastSeq: Math.max(known.lastSeq, message.seq), unread: known.unread + (isNews ? 1 : 0) };
  const messages = state.messages[key] ? { ...state.messages, [key]: merge(state.messages[key], [message]) } : state.messages;
  const drafts = state.drafts.filter(({ id }) => id !== message.clientMessageId);
  set({ messages, drafts, rooms: [room, ...state.rooms.filter((each) => keyOf(each) !== key)] });
  if (isOpen) read(key);
}

function read(key: string) {
  const last = state.messages[key]?.at(-1);
  if (!last || document.hidden) return;
  setRoom(key, { unread: 0 });
  ask('markRead', { receiver: key.slice(2), group: key[0] === 'g', seq: last.seq }).catch(() => undefined);
}
document.addEventListener('visibilitychange', () => state.open && read(keyOf(state.open)));

export async function open(room: Room) {
  set({ open: room, notice: '' });
  if (!state.messages[keyOf(room)]) await older(room);
  read(keyOf(room));
}

/** Reads a page of history: the newest one at first. */
export async function older(room: Room) {
  const [key, { receiver, group }] = [keyOf(room), room];
  const before = state.messages[key]?.[0]?.seq;
  set({ messages: { ...state.messages, [key]: state.messages[key] ?? [] } });
  try {
    const page = await ask('history', { receiver, group, limit: 30, ...(before && { before }) });
    set({ messages: { ...state.messages, [key]: merge(page.messages, state.messages[key]) }, hasOlder: { ...state.hasOlder, [key]: page.hasMore } });
  } catch (error) {
    set({ open: undefined, notice: `${room.name}: ${(error as Error).message}` });
  }
}

export const send = (room: Room, text: string) => deliver({ id: crypto.randomUUID(), room: keyOf(room), text });

/** Sends a message, or sends it again: the same `clientMessageId` is stored once. The client repeats it after a break. */
export async function deliver({ id, room, text }: Draft) {
  const put = (problem?: string) => set({ drafts: [...state.drafts.filter((draft) => draft.id !== id), { id, room, text, problem }] });
  put();
  try {
    await ask(room[0] === 'g' ? 'groupMessage' : 'privateMessage', { receiver: room.slice(2), content: text, clientMessageId: id });
  } catch (error) {
    put((error as Error).message);
  }
}

if (token) enter(sessionStorage.getItem('me') ?? '');

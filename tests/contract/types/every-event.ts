// Every event, every way in which a front end can use it, and every kind of mistake. The compiler runs over this file;
// nobody runs it. A line after @ts-expect-error has to be a mistake.
import { io, type Socket } from 'socket.io-client';
import type {
  Answer,
  Changes,
  ChatSocket,
  ClientFrame,
  ClientToServerEvents,
  ConnectAuth,
  Conversation,
  DeletedMessages,
  Edits,
  ErrorCode,
  Following,
  Group,
  History,
  Member,
  Message,
  Problem,
  Reactions,
  RootClientToServerEvents,
  RootServerToClientEvents,
  ServerFrame,
  ServerToClientEvents,
  SignIn,
  SignUp,
  Threads,
  User,
  UserReactions,
} from '../../../contract/parlor';

type PlainSocket = Socket<ServerToClientEvents, ClientToServerEvents>;
type RootSocket = Socket<RootServerToClientEvents, RootClientToServerEvents>;

const auth: ConnectAuth = { token: 'a', since: { room: 1 }, changes: { room: 0, other: { change: 2, from: 1 } }, catchUp: true, receipts: 'batched' };
const chat: ChatSocket<PlainSocket> = io('/chat', { auth });
const plain: PlainSocket = chat;
const root: RootSocket = io({ auth: { token: 'a' } });

/** Fails to compile unless both types are the same. */
function same<A, B>(..._: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? [] : [never]): void {}

// --- What a client sends --------------------------------------------------------------------------------------------

type Sent = { [E in keyof ClientToServerEvents]: Parameters<ClientToServerEvents[E]>[0][] };

/** Every event with every form of its payload: an event that is missing here is a mistake. */
export const sent: Sent = {
  privateMessage: [
    { receiver: 'bob', content: 'hi' },
    { receiver: 'bob', content: 'hi', kind: 'text', clientMessageId: 'c', replyTo: 'm' },
    { receiver: 'bob', content: 'hi', thread: 'm', alsoInRoom: true, mentions: ['bob'], mentionsAll: true, data: { a: 1 }, expiresIn: 60 },
    { receiver: 'bob', content: { any: ['json', 1, null] }, kind: 'encrypted' },
  ],
  groupMessage: [{ receiver: 'g', content: 'hi' }, { receiver: 'g', content: 1, kind: 'encrypted', replyTo: 'm' }],
  lobbyMessage: [{ content: 'hi' }, { content: 'hi', data: { any: ['json'] } }, { content: 'hi', clientMessageId: 'c' }, { content: null, kind: 'encrypted' }],
  history: [{ receiver: 'bob', group: false }, { receiver: 'g', group: true, before: 9, limit: 5 }, { lobby: true, after: 3 }, { receiver: 'g', group: true, around: 7, pinned: true, changes: true }],
  editMessage: [{ messageId: 'm', content: 'hi' }, { messageId: 'm', content: { any: 1 } }],
  deleteMessage: [{ messageId: 'm' }, { messageId: 'm', reason: 'spam' }, { messageIds: ['m', 'n'], reason: 'spam' }],
  pinMessage: [{ messageId: 'm', on: true }],
  getMessages: [{ messageIds: ['m', 'n'] }],
  react: [{ messageId: 'm', key: '+1', on: true }],
  reactions: [{ messageId: 'm' }, { messageId: 'm', key: '+1', after: 'a', limit: 5 }],
  edits: [{ messageId: 'm' }],
  forwardMessage: [{ messageId: 'm', receiver: 'bob', group: false }, { messageId: 'm', receiver: 'g', group: true, comment: 'look', clientMessageId: 'c' }],
  threads: [{ receiver: 'g', group: true }, { receiver: 'bob', group: false, unread: true, before: 9, limit: 5 }],
  followThread: [{ messageId: 'm', on: false }],
  changes: [{ roomId: 'r', after: 0 }, { roomId: 'r', after: 3, from: 7, limit: 5 }],
  createGroup: [{ groupName: 'Tea' }, { groupName: 'Tea', users: ['bob', { username: 'cyd' }], password: 'p' }, { groupId: 'g' }],
  joinGroup: [{ groupId: 'g' }, { groupName: 'Tea', password: 'p' }],
  leaveGroup: [{ groupId: 'g' }],
  updateGroup: [{ groupId: 'g', groupName: 'Coffee' }, { groupId: 'g', password: null }, { groupId: 'g', systemMessages: true }],
  deleteGroup: [{ groupId: 'g' }],
  addMembers: [{ groupId: 'g', users: ['bob', { username: 'cyd' }] }],
  removeMember: [{ groupId: 'g', username: 'bob' }],
  setRole: [{ groupId: 'g', username: 'bob', role: 'admin' }],
  listGroups: [{}, { search: 'te', limit: 10, after: 'g' }],
  listUsers: [{}, { search: 'bo', limit: 10, after: 'u' }],
  listRooms: [{}, { limit: 10, after: 'r' }],
  setDisappearing: [{ receiver: 'bob', group: false, seconds: 60 }, { receiver: 'g', group: true, seconds: null }],
  setRoom: [
    { receiver: 'bob', group: false },
    { receiver: 'g', group: true, notify: 'mentions', mutedUntil: '2031-01-01T00:00:00.000Z', archived: true, markedUnread: true },
    { receiver: 'g', group: true, mutedUntil: null, draft: null },
    { receiver: 'g', group: true, draft: { content: 'well', replyTo: 'm' } },
  ],
  markRead: [{ receiver: 'bob', group: false, seq: 3 }, { receiver: 'g', group: true, seq: 3, thread: 'm' }, { receiver: 'g', group: true, seq: 3, threads: true }],
  delivered: [{ roomId: 'r', seq: 3 }, { rooms: { r: 3 } }],
  typing: [{ receiver: 'bob', group: false, typing: true }],
  refreshToken: [{ token: 'a' }],
};

export async function awaited() {
  const [message] = sent.privateMessage;
  if (!message) return;
  // In every way of the library, with its own type of a socket and with ours.
  const direct = await plain.emitWithAck('privateMessage', message);
  same<typeof direct, Answer<Message>>();
  const ours = await chat.emitWithAck('privateMessage', message);
  same<typeof ours, Answer<Message>>();
  const timed = await chat.timeout(5000).emitWithAck('privateMessage', message);
  same<typeof timed, Answer<Message>>();
  chat.emit('privateMessage', message, (answer) => same<typeof answer, Answer<Message>>());
  chat.timeout(5000).emit('privateMessage', message, (error, answer) => {
    same<typeof error, Error>();
    same<typeof answer, Answer<Message>>();
  });
  plain.timeout(5000).emit('privateMessage', message, (error, answer) => {
    same<typeof error, Error>();
    same<typeof answer, Answer<Message>>();
  });
  chat.compress(false).emit('privateMessage', message, () => {});
  chat.volatile.emit('typing', { receiver: 'bob', group: false, typing: true });

  const answers = {
    groupMessage: await chat.emitWithAck('groupMessage', { receiver: 'g', content: 'hi' }),
    lobbyMessage: await chat.emitWithAck('lobbyMessage', { content: 'hi' }),
    history: await chat.emitWithAck('history', { lobby: true }),
    editMessage: await chat.emitWithAck('editMessage', { messageId: 'm', content: 'hi' }),
    deleteMessage: await chat.emitWithAck('deleteMessage', { messageId: 'm' }),
    pinMessage: await chat.emitWithAck('pinMessage', { messageId: 'm', on: true }),
    getMessages: await chat.emitWithAck('getMessages', { messageIds: ['m'] }),
    react: await chat.emitWithAck('react', { messageId: 'm', key: '+1', on: true }),
    reactions: await chat.emitWithAck('reactions', { messageId: 'm' }),
    forwardMessage: await chat.emitWithAck('forwardMessage', { messageId: 'm', receiver: 'bob', group: false }),
    threads: await chat.emitWithAck('threads', { receiver: 'g', group: true }),
    followThread: await chat.emitWithAck('followThread', { messageId: 'm', on: true }),
    edits: await chat.emitWithAck('edits', { messageId: 'm' }),
    changes: await chat.emitWithAck('changes', { roomId: 'r', after: 0 }),
    createGroup: await chat.emitWithAck('createGroup', { groupName: 'Tea' }),
    joinGroup: await chat.emitWithAck('joinGroup', { groupName: 'Tea' }),
    leaveGroup: await chat.emitWithAck('leaveGroup', { groupId: 'g' }),
    updateGroup: await chat.emitWithAck('updateGroup', { groupId: 'g', password: null }),
    deleteGroup: await chat.emitWithAck('deleteGroup', { groupId: 'g' }),
    addMembers: await chat.emitWithAck('addMembers', { groupId: 'g', users: ['bob'] }),
    setRole: await chat.emitWithAck('setRole', { groupId: 'g', username: 'bob', role: 'owner' }),
    removeMember: await chat.emitWithAck('removeMember', { groupId: 'g', username: 'bob' }),
    listGroups: await chat.emitWithAck('listGroups', {}),
    listUsers: await chat.emitWithAck('listUsers', {}),
    listRooms: await chat.emitWithAck('listRooms', {}),
    setDisappearing: await chat.emitWithAck('setDisappearing', { receiver: 'g', group: true, seconds: null }),
    setRoom: await chat.emitWithAck('setRoom', { receiver: 'bob', group: false, notify: 'none' }),
    markRead: await chat.emitWithAck('markRead', { receiver: 'bob', group: false, seq: 1 }),
    delivered: await chat.emitWithAck('delivered', { rooms: { r: 1 } }),
    refreshToken: await chat.emitWithAck('refreshToken', { token: 'a' }),
    privateMessage: direct,
    // Its callback may be left out, so the library's own `emitWithAck` does not know its answer.
    typing: await chat.emitWithAck('typing', { receiver: 'bob', group: false, typing: false }),
  } satisfies { [E in keyof ClientToServerEvents]: Answer<unknown> };
  same<typeof answers.history, Answer<History>>();
  same<typeof answers.editMessage, Answer<Message>>();
  same<typeof answers.deleteMessage, Answer<DeletedMessages>>();
  same<typeof answers.react, Answer<Message>>();
  same<typeof answers.getMessages, Answer<Message[]>>();
  same<typeof answers.reactions, Answer<UserReactions>>();
  same<typeof answers.edits, Answer<Edits>>();
  same<typeof answers.changes, Answer<Changes>>();
  same<typeof answers.forwardMessage, Answer<Message>>();
  same<typeof answers.threads, Answer<Threads>>();
  same<typeof answers.followThread, Answer<Following>>();
  same<typeof answers.createGroup, Answer<Group>>();
  same<typeof answers.setRole, Answer<Member>>();
  same<typeof answers.listUsers, Answer<User[]>>();
  same<typeof answers.listRooms, Answer<Conversation[]>>();
  same<typeof answers.setRoom, Answer<Conversation>>();
  same<typeof answers.typing, Answer<null>>();

  if (direct.success) {
    const seq: number = direct.response.seq;
    void seq;
    // @ts-expect-error: a success has no error
    direct.error;
  } else {
    const code: ErrorCode = direct.error.code;
    const wait: number | undefined = direct.error.retryAfterMs;
    void [code, wait];
    // @ts-expect-error: a refusal has no response
    direct.response;
    // @ts-expect-error: no such code
    direct.error.code === 'nope';
  }
  // @ts-expect-error: nobody knows yet whether it succeeded
  direct.response;
  if (answers.listRooms.success) for (const room of answers.listRooms.response) whoIsThere(room);
}

export function mistakes() {
  // @ts-expect-error: no such event
  chat.emit('privateMessages', { receiver: 'bob', content: 'hi' }, () => {});
  // @ts-expect-error: a field is missing
  chat.emit('privateMessage', { content: 'hi' }, () => {});
  // @ts-expect-error: a field is misspelt
  chat.emit('privateMessage', { reciever: 'bob', content: 'hi' }, () => {});
  // @ts-expect-error: a field has another type
  chat.emit('privateMessage', { receiver: 7, content: 'hi' }, () => {});
  // @ts-expect-error: a text is a string
  chat.emit('privateMessage', { receiver: 'bob', content: { a: 1 } }, () => {});
  // @ts-expect-error: no such kind
  chat.emit('privateMessage', { receiver: 'bob', content: 'hi', kind: 'system' }, () => {});
  // @ts-expect-error: null only where it means something
  chat.emit('updateGroup', { groupId: 'g', groupName: null }, () => {});
  // @ts-expect-error: an archived room is taken back by `false`
  chat.emit('setRoom', { receiver: 'g', group: true, archived: null }, () => {});
  // @ts-expect-error: neither form is complete
  chat.emit('createGroup', { users: ['bob'] }, () => {});
  // @ts-expect-error: the lobby has no `false`
  chat.emit('history', { lobby: false }, () => {});
  // @ts-expect-error: no payload
  chat.emit('listUsers', () => {});
  // @ts-expect-error: the answer is no message
  chat.emit('privateMessage', { receiver: 'bob', content: 'hi' }, (answer: Message) => void answer);
  // @ts-expect-error: with a timeout, the error comes first
  chat.timeout(5000).emit('privateMessage', { receiver: 'bob', content: 'hi' }, (answer: Answer<Message>) => void answer);
  // @ts-expect-error: an answer that nobody takes
  chat.emit('createGroup', { groupName: 'Tea' });
  // @ts-expect-error: so is an event without a callback
  plain.emit('createGroup', { groupName: 'Tea' });
  // @ts-expect-error: a field is missing here, too
  void plain.emitWithAck('joinGroup', {});
  // @ts-expect-error: and here
  void chat.emitWithAck('joinGroup', {});
  // @ts-expect-error: and behind a timeout
  void chat.timeout(5000).emitWithAck('removeMember', { groupId: 'g' });
  // @ts-expect-error: an event of the other namespace
  chat.emit('get:rooms', {}, () => {});
  // @ts-expect-error: `since` has numbers
  const wrong: ConnectAuth = { since: { room: '1' } };
  // @ts-expect-error: only "batched"
  const receipts: ConnectAuth = { receipts: 'none' };
  void [wrong, receipts];
}

// --- What a client receives -----------------------------------------------------------------------------------------

/** Every event: one that is missing here is a mistake. */
export const received: ServerToClientEvents = {
  response: ({ response: message }, acknowledge) => {
    said(message);
    acknowledge?.({ success: true, receiver: 'ada' });
    // @ts-expect-error: not every message asks for it
    acknowledge({ success: true });
    // @ts-expect-error: an acknowledgement says whether it arrived
    acknowledge?.({ receiver: 'ada' });
  },
  lobby: ({ response: message }) => said(message),
  messageChanged: ({ roomId, seq, change, by, what, set, reacted, mentioned }) => {
    same<typeof what, ('edited' | 'deleted' | 'reactions' | 'pinned' | 'caught-up')[]>();
    void [roomId, seq, change, by?.length, set.content, set.editedAt?.length, set.edits, set.deletedBy?.length];
    // An array that is empty now is null.
    same<typeof set.reactions, Reactions[] | null | undefined>();
    same<typeof set.mentions, string[] | null | undefined>();
    void [set.reactions?.[0]?.count, reacted?.[0]?.on, mentioned?.length, set.mentions?.length, set.data?.['a']];
  },
  synced: ({ rooms }) => {
    for (const { seq, change, reset } of Object.values(rooms)) void [seq, change, reset];
  },
  updateDeliveryStatusOnConnection: ({ response: { deliveredToAll } }) => same<typeof deliveredToAll, boolean>(),
  messageRead: ({ roomId, receiver, group, username, seq }) => void [roomId, receiver, group, username, seq],
  roomChanged: ({ roomId, set }) => {
    same<typeof set.notify, 'all' | 'mentions' | 'none' | null | undefined>();
    same<typeof set.unread, number | undefined>();
    void [roomId, set.read, set.markedUnread, set.archived, set.mutedUntil?.length, set.draft?.content.length];
  },
  onlineStatus: ({ username, online, lastSeen }) => void [username, online, lastSeen],
  newgrp: ({ response: { groupId, users } }) => void [groupId, users?.length],
  roomsChanged: ({ response, change }) => {
    same<typeof change, 'created' | 'updated' | 'deleted'>();
    void response.groupName;
  },
  memberJoined: ({ groupId, username }) => void [groupId, username],
  memberLeft: ({ groupId, username }) => void [groupId, username],
  memberChanged: ({ groupId, username, role }) => {
    same<typeof role, 'owner' | 'admin' | 'member'>();
    void [groupId, username];
  },
  typing: ({ sender, receiver, group, typing }) => void [sender, receiver, group, typing],
  'token-expiring': ({ expiresAt }) => void new Date(expiresAt),
  'token-expired': ({ response }) => void response.length,
  displaced: ({ response }) => void response.length,
};

export function listens() {
  chat.on('response', received.response);
  chat.once('typing', received.typing);
  chat.off('roomsChanged', received.roomsChanged);
  chat.on('token-expired', ({ response }) => void response.length);
  chat.on('connect_error', ({ message }) => void message.split(': '));
  // @ts-expect-error: no such event
  chat.on('privateMessage', () => {});
  // @ts-expect-error: no such field
  chat.on('typing', ({ user }) => void user);
  // @ts-expect-error: the payload is an object with the message in it
  chat.on('lobby', (message: Message) => void message);
  // @ts-expect-error: only `response` is acknowledged
  chat.on('newgrp', (_: unknown, acknowledge: () => void) => acknowledge());
}

/** A message is told by its kind. */
function said(message: Message): string {
  // @ts-expect-error: an encrypted message has any content
  message.content.length;
  switch (message.kind) {
    case 'text':
    case 'system':
      return message.content;
    case 'encrypted':
      // @ts-expect-error: any content is no text
      message.content.length;
      return JSON.stringify(message.content);
  }
}

function whoIsThere(room: Conversation): string {
  // @ts-expect-error: only a direct room has a peer
  room.peer;
  return room.kind === 'direct' ? room.peer.username : room.group.groupName;
}

// --- The namespace / ------------------------------------------------------------------------------------------------

type RootSent = { [E in keyof RootClientToServerEvents]: Parameters<RootClientToServerEvents[E]>[0][] };

export const rootSent: RootSent = {
  'createIfNotExists:user': [{ name: 'Ada', email: 'ada@example.com' }],
  'get:rooms': [{}, { limit: 10, after: 'r' }],
  'create:room': [{ roomName: 'Tea', roomPwd: 'p' }],
  'joinIfExists:room': [{ roomName: 'Tea', roomPwd: 'p' }],
  'getForARoom:messages': [{ roomId: 'r' }],
  'create:message': [{ roomId: 'r', content: 'hi' }],
  'chat message': ['hi'],
};

export const rootReceived: RootServerToClientEvents = {
  updateRoomsDropdowns: ({ id, name, owner }) => void [id, name, owner.name],
  updateRoomClients: ({ content, user, generatedOn }) => void [content, user.name, generatedOn],
  'chat message': (line) => void line.split(' : '),
  'new user': (username) => void username.length,
  'user left': (username) => void username.length,
};

export async function rootUses() {
  const rooms = await root.emitWithAck('get:rooms', {});
  if ('error' in rooms) return rooms.error.code;
  root.emit('chat message', 'hi', () => {});
  root.on('updateRoomClients', rootReceived.updateRoomClients);
  // @ts-expect-error: a room has a password here
  root.emit('create:room', { roomName: 'Tea' }, () => {});
  // @ts-expect-error: the payload is a text
  root.emit('chat message', { content: 'hi' }, () => {});
  return rooms.map(({ name }) => name).join();
}

// --- Plain WebSockets -----------------------------------------------------------------------------------------------

export const frames: ClientFrame[] = [
  { event: 'privateMessage', data: { receiver: 'bob', content: 'hi' }, id: 1 },
  { event: 'typing', data: { receiver: 'bob', group: false, typing: true } },
  { reply: 7, data: { success: true } },
  // @ts-expect-error: the payload of another event
  { event: 'typing', data: { receiver: 'bob', content: 'hi' } },
  // @ts-expect-error: no such event
  { event: 'shout', data: {} },
  // @ts-expect-error: the server's ids are numbers
  { reply: '7', data: { success: true } },
];

export function reads(frame: ServerFrame) {
  if (frame.reply !== undefined) return frame.data.success;
  switch (frame.event) {
    case 'response':
      return frame.id === undefined ? said(frame.data.response) : frame.id;
    case 'error':
      return frame.data.code;
    case 'onlineStatus':
      // @ts-expect-error: no such field
      return frame.data.user;
    default:
      return frame.data;
  }
}

// --- HTTP -----------------------------------------------------------------------------------------------------------

export async function signsIn(account: SignUp): Promise<SignIn> {
  const post = (path: string, body: object) => fetch(path, { method: 'POST', body: JSON.stringify(body) });
  await post('/api/users', account);
  const response = await post('/api/auth/login', { username: account.username, password: account.password });
  if (response.ok) return (await response.json()) as SignIn;
  const problem = (await response.json()) as Problem;
  throw new Error(`${problem.code}: ${problem.message} (${problem.field ?? problem.detail})`);
}

// @ts-expect-error: an account has a password
export const incomplete: SignUp = { username: 'ada' };

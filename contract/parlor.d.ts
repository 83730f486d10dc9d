// The types of Parlor: its events, their answers, and the HTTP API. Made by `parlor schema typescript`; do not edit.
//
//   import { io, type Socket } from "socket.io-client";
//   import type { ClientToServerEvents, ServerToClientEvents } from "./parlor";
//   const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io(url + "/chat", { auth: { token } });
//   const answer = await socket.emitWithAck("privateMessage", { receiver: "bob", content: "hi" });

/** The answer to an event that was carried out. */
export interface Success<T> {
  success: true;
  response: T;
}

/** The answer to an event of `/chat` or `/ws`: `success` tells which of the two it is. */
export type Answer<T> = Success<T> | Failure;

/** The answer to an event of the namespace `/`: the bare value, or `{ error }`. */
export type RootAnswer<T> = T | RootFailure;

/** The answer to an event of `/chat` with this name. */
export type AnswerTo<E extends keyof ClientToServerEvents> = Parameters<
  NonNullable<Parameters<ClientToServerEvents[E]>[1]>
>[0];

/** What asks and waits for the answer. */
export interface Asks {
  emitWithAck<E extends keyof ClientToServerEvents>(
    event: E,
    payload: Parameters<ClientToServerEvents[E]>[0],
  ): Promise<AnswerTo<E>>;
}

/**
 * A socket of `/chat` that also types `timeout(ms).emitWithAck(...)`, which `socket.io-client` 4.8 leaves open:
 * `ChatSocket<Socket<ServerToClientEvents, ClientToServerEvents>>`.
 */
export type ChatSocket<S extends { timeout(ms: number): unknown }> = Asks & {
  timeout(ms: number): Asks & ReturnType<S["timeout"]>;
} & S;

/** What `io(url + "/chat", { auth })` takes. */
export interface ConnectAuth extends ConnectParameters {
  token?: string;
  ticket?: string;
}

/** The events that a client sends in the namespace `/chat`. */
export interface ClientToServerEvents {
  /** writes to a user */
  privateMessage: (payload: PrivateMessage, answered: (answer: Answer<Message>) => void) => void;
  /** writes to a group; `receiver` is the groupId */
  groupMessage: (payload: GroupMessage, answered: (answer: Answer<Message>) => void) => void;
  /** writes to everyone */
  lobbyMessage: (payload: LobbyMessage, answered: (answer: Answer<Message>) => void) => void;
  /** reads older messages, a page at a time */
  history: (payload: HistoryRequest, answered: (answer: Answer<History>) => void) => void;
  /** reads messages by their ids: those that exist and that one may read, in this order */
  getMessages: (payload: GetMessages, answered: (answer: Answer<Message[]>) => void) => void;
  /** sends a copy of a message, with `forwardedFrom`; not of an encrypted one */
  forwardMessage: (payload: ForwardRequest, answered: (answer: Answer<Message>) => void) => void;
  /** the threads of a room, those with the newest reply first */
  threads: (payload: ThreadsRequest, answered: (answer: Answer<Threads>) => void) => void;
  /** follows a thread, or stops following it; who begins a thread, answers in it or is mentioned in it follows it */
  followThread: (payload: FollowRequest, answered: (answer: Answer<Following>) => void) => void;
  /** replaces the content of one's own message, its mentions, or its data; the same again changes nothing. The answer comes after the socket's own `messageChanged` */
  editMessage: (payload: EditRequest, answered: (answer: Answer<Message>) => void) => void;
  /** deletes one's own message, or as a moderator anyone's; `messageIds` deletes up to 100 messages of a room, all or none. The answer comes after the socket's own `messageChanged` */
  deleteMessage: (payload: DeleteRequest, answered: (answer: Answer<DeletedMessages>) => void) => void;
  /** pins a message, or takes the pin away (a group's owner and admins; either of two users). The answer comes after the socket's own `messageChanged` */
  pinMessage: (payload: PinRequest, answered: (answer: Answer<Message>) => void) => void;
  /** reacts to a message with `key`; `on: false` withdraws that. The answer comes after the socket's own `messageChanged` */
  react: (payload: ReactRequest, answered: (answer: Answer<Message>) => void) => void;
  /** who has reacted to a message, oldest first, a part at a time */
  reactions: (payload: ReactionsRequest, answered: (answer: Answer<UserReactions>) => void) => void;
  /** the contents that a message had before its edits */
  edits: (payload: MessageOf, answered: (answer: Answer<Edits>) => void) => void;
  /** reads changed messages of a room, a page at a time, each as it stands now */
  changes: (payload: ChangesRequest, answered: (answer: Answer<Changes>) => void) => void;
  /** makes a group; with `groupId` alone, announces a group again (owner, admins) */
  createGroup: (payload: CreateGroup, answered: (answer: Answer<Group>) => void) => void;
  /** joins a group, by its id or its name */
  joinGroup: (payload: JoinGroup, answered: (answer: Answer<Group>) => void) => void;
  /** leaves a group */
  leaveGroup: (payload: GroupReference, answered: (answer: Answer<Group>) => void) => void;
  /** changes what is given; `password: null` removes the password (owner, admins) */
  updateGroup: (payload: UpdateGroup, answered: (answer: Answer<Group>) => void) => void;
  /** deletes a group (owner) */
  deleteGroup: (payload: GroupReference, answered: (answer: Answer<Group>) => void) => void;
  /** adds users to a group (owner, admins) */
  addMembers: (payload: AddMembers, answered: (answer: Answer<Group>) => void) => void;
  /** removes a member (owner; admins, except another admin) */
  removeMember: (payload: RemoveMember, answered: (answer: Answer<Group>) => void) => void;
  /** gives a member another role (owner); who makes somebody else the owner becomes an admin */
  setRole: (payload: RoleChange, answered: (answer: Answer<Member>) => void) => void;
  /** all groups, in the order of their names */
  listGroups: (payload: ListRequest, answered: (answer: Answer<Group[]>) => void) => void;
  /** all users, in the order of their names */
  listUsers: (payload: ListRequest, answered: (answer: Answer<User[]>) => void) => void;
  /** my conversations, most recent first */
  listRooms: (payload: ListRoomsRequest, answered: (answer: Answer<Conversation[]>) => void) => void;
  /** my own settings of a room: what is given replaces, what is not given stays. The answer is the room; my other sockets receive `roomChanged` */
  setRoom: (payload: SetRoom, answered: (answer: Answer<Conversation>) => void) => void;
  /** after how long messages disappear that are sent without `expiresIn` from now on (either of two users; owner, admins) */
  setDisappearing: (payload: Disappearing, answered: (answer: Answer<Conversation>) => void) => void;
  /** I have read everything up to `seq`, or the replies of one thread or of all that I follow; the answer is the current receipt */
  markRead: (payload: MarkRead, answered: (answer: Answer<Receipt>) => void) => void;
  /** everything up to `seq` has arrived; the answer has the current receipts */
  delivered: (payload: Delivered, answered: (answer: Answer<DeliveredReceipts>) => void) => void;
  /** I am typing, or no longer; the other members of the group, or the user who is addressed, receive it; nobody in the lobby does */
  typing: (payload: Typing, answered?: (answer: Answer<null>) => void) => void;
  /** replaces the token of this socket by a newer one of the same user; one that ends earlier changes nothing; the answer tells when the token that counts ends */
  refreshToken: (payload: RefreshToken, answered: (answer: Answer<TokenLife>) => void) => void;
}

/** The events that a client receives in the namespace `/chat`. */
export interface ServerToClientEvents {
  /** every socket of every member, the sender's too, in seq order per room */
  response: (payload: MessageNotice, acknowledge?: (answer: Acknowledgement) => void) => void;
  /** all users who are online; the lobby keeps no receipts */
  lobby: (payload: MessageNotice) => void;
  /** every socket of every member, when a message was changed, in `change` order per room, and never before the message; after an absence, each changed message once */
  messageChanged: (payload: MessageChanged) => void;
  /** a socket that passed `changes`, when it has everything: once for all rooms, later for one */
  synced: (payload: Synced) => void;
  /** the sender, once, when the last member has received it, however much later; `deliveredToAll` is `true` */
  updateDeliveryStatusOnConnection: (payload: MessageNotice) => void;
  /** the other members, and the reader's own other sockets; also after they were away */
  messageRead: (payload: MessageRead) => void;
  /** the user's own other sockets, when something differs in one of the user's rooms: after `setRoom`, when the user has read on, and when a deletion or an edit changes what is unread */
  roomChanged: (payload: RoomChanged) => void;
  /** all other users while at most 1,000 are online; above that, users who share a room. If many connect at once, the events come together, up to 50 ms later */
  onlineStatus: (payload: OnlineStatus) => void;
  /** the members of a new group; a user added to one */
  newgrp: (payload: GroupNotice) => void;
  /** all users, at a limited rate; `change` is `"created"`, `"updated"` or `"deleted"`. A single change at once; changes within `limits.list_interval` (500 ms) after it together, each group once in its newest state */
  roomsChanged: (payload: RoomsChanged) => void;
  /** the members */
  memberJoined: (payload: Membership) => void;
  /** the members, and the user who leaves */
  memberLeft: (payload: Membership) => void;
  /** the members, when one of them has another role: also the new owner when the owner has left */
  memberChanged: (payload: MemberChanged) => void;
  /** the other members of a group or a direct room, not of the lobby; may be dropped. `false` is also sent when the socket goes that has said `true`, unless the user is typing there on another one */
  typing: (payload: TypingNotice) => void;
  /** 60 s before the token ends */
  "token-expiring": (payload: TokenExpiring) => void;
  /** at the token's end; at once after a logout or a deletion. Then the socket is disconnected */
  "token-expired": (payload: LastWords) => void;
  /** a socket of a user with too many connections, when a newer one needs its place. Then the socket leaves the namespace */
  displaced: (payload: LastWords) => void;
}

/** The events that a client sends in the namespace `/`. */
export interface RootClientToServerEvents {
  /** the token's own user; gives it a name and an address, if it has none */
  "createIfNotExists:user": (payload: AppUserDetails, answered: (answer: RootAnswer<AppUser>) => void) => void;
  /** all rooms; the payload may be missing */
  "get:rooms": (payload: AppRoomsRequest, answered: (answer: RootAnswer<AppRoom[]>) => void) => void;
  /** makes a room */
  "create:room": (payload: AppRoomAccess, answered: (answer: RootAnswer<AppRoom>) => void) => void;
  /** enters a room; a wrong name and a wrong password get the same answer */
  "joinIfExists:room": (payload: AppRoomAccess, answered: (answer: RootAnswer<AppRoom>) => void) => void;
  /** the newest messages of a room, oldest first; members only */
  "getForARoom:messages": (payload: AppRoomReference, answered: (answer: RootAnswer<AppMessage[]>) => void) => void;
  /** writes to a room */
  "create:message": (payload: AppNewMessage, answered: (answer: RootAnswer<AppMessage>) => void) => void;
  /** writes to everyone */
  "chat message": (payload: string, answered: (answer: RootAnswer<Message>) => void) => void;
}

/** The events that a client receives in the namespace `/`. */
export interface RootServerToClientEvents {
  /** all other sockets: somebody made a room */
  updateRoomsDropdowns: (payload: AppRoom) => void;
  /** every socket that joined the room, the sender's included */
  updateRoomClients: (payload: AppMessage) => void;
  /** everybody online but its sender: `<user> : <text>` */
  "chat message": (payload: string) => void;
  /** everybody: the username of a user who went online */
  "new user": (payload: string) => void;
  /** everybody: the username of a user who went offline */
  "user left": (payload: string) => void;
}

/** What a client sends on `/ws`. With an `id`, an event is answered. */
export type ClientFrame =
  | {
      [E in keyof ClientToServerEvents]: {
        event: E;
        data: Parameters<ClientToServerEvents[E]>[0];
        id?: number | string;
      };
    }[keyof ClientToServerEvents]
  | AckFrame;

/** The acknowledgement of the `response` with this id. */
export interface AckFrame {
  reply: number;
  data: Acknowledgement;
}

/** What the server sends on `/ws`. A `response` with an `id` asks for an acknowledgement. */
export type ServerFrame =
  | {
      [E in keyof ServerToClientEvents]: {
        event: E;
        data: Parameters<ServerToClientEvents[E]>[0];
        id?: number;
        reply?: undefined;
      };
    }[keyof ServerToClientEvents]
  | AnswerFrame
  | ErrorFrame;

/** The answer to the event with this id. */
export interface AnswerFrame {
  reply: number | string;
  data: Answer<unknown>;
  event?: undefined;
}

/** The last frame could not be read. */
export interface ErrorFrame {
  event: "error";
  data: Refusal;
  reply?: undefined;
}

/** The changes to an account. A null clears a field. */
export interface AccountChange {
  /** Accepted if it is the current username. Usernames never change. */
  username?: string;
  firstName?: string | null;
  lastName?: string | null;
  email?: string | null;
  phone?: string | null;
  profile?: Record<string, unknown> | null;
  /** The new password. Changing it ends the user's other logins. */
  password?: string;
  /** The current password. Required to change one's own password or e-mail address, except for users without a password and users of another issuer. */
  currentPassword?: string;
}

/** The client's acknowledgement of a `response`. */
export interface Acknowledgement {
  /** `false`: it has not arrived. */
  success: boolean;
  /** The client's own username. The server does not read it. */
  receiver?: string;
}

/** Users to add to a group. */
export interface AddMembers {
  groupId: string;
  users: UserRef[];
}

/** A message in a room. */
export interface AppMessage {
  id: string;
  /** A string; any JSON for an encrypted message from another front end. */
  content: unknown;
  userId: string;
  user: AppSender;
  generatedOn: Time;
  roomId: string;
}

/** A new message. */
export interface AppNewMessage {
  content: string;
  roomId: string;
}

/** A room with the fields that everyone may see. */
export interface AppRoom {
  id: string;
  name: string;
  ownerId: string;
  owner: AppRoomOwner;
}

/** A room and its password. */
export interface AppRoomAccess {
  roomName: string;
  roomPwd: string;
}

/** The owner of a room. */
export interface AppRoomOwner {
  id: string;
  name: string;
}

/** A room. */
export interface AppRoomReference {
  roomId: string;
}

/** The app sends no payload, which requests all rooms. */
export interface AppRoomsRequest {
  limit?: number;
  /** The id of the last room of the page before. */
  after?: string;
}

/** The sender of a message. */
export interface AppSender {
  name: string;
}

/** A user of the rooms app. */
export interface AppUser {
  id: string;
  name: string;
  email: string | null;
  joinedOn: Time;
}

/** How the app shows its user. */
export interface AppUserDetails {
  name?: string | null;
  email?: string | null;
}

/** The fields of the message that may differ now, whole. `null`: no longer there. */
export interface ChangedFields {
  content?: unknown;
  editedAt?: Time | null;
  edits?: number | null;
  deletedAt?: Time;
  /** The username. */
  deletedBy?: string;
  reactions?: Reactions[] | null;
  pinnedAt?: Time | null;
  /** The username. */
  pinnedBy?: string | null;
  mentions?: string[] | null;
  data?: Record<string, unknown> | null;
  /** Only `null`, of a deleted message. */
  mentionsAll?: boolean | null;
  forwardedFrom?: ForwardedFrom | null;
  expiresAt?: Time | null;
  /** Only `null`, of a deleted message. */
  replySeq?: number | null;
  /** Only `null`, of a deleted message. */
  replyTo?: string | null;
  /** Only `null`, of a deleted message. */
  clientMessageId?: string | null;
}

/** Changed messages of a room, each once and as it stands now, ascending by `change`. */
export interface Changes {
  changes: MessageChanged[];
  /** With this page, the reader has everything up to this change. */
  change: number;
  /** Whether there are more. */
  more: boolean;
}

/** Which changes of a room to return. */
export interface ChangesRequest {
  roomId: string;
  /** Only changes after this one. */
  after: number;
  /** Only of messages from this seq on. */
  from?: number;
  /** The most messages: 50 by default, at most 200. */
  limit?: number;
}

/** What a client may pass besides its credential when it connects. */
export interface ConnectParameters {
  /** Of each room, by its roomId, the seq up to which this device has everything. The server sends later messages and marks earlier ones as delivered. */
  since?: Record<string, number>;
  /** Of each room, by its roomId, the newest change that this device has, or that with the oldest seq that it holds. The server sends what was changed since, and then `synced`. `{}` for a device that has nothing yet. */
  changes?: Record<string, Cursor>;
  /** `false`: the server sends no old messages. */
  catchUp?: boolean;
  receipts?: "batched";
}

/** One of the caller's rooms. */
export type Conversation = DirectConversation | GroupConversation;

/** A new group, or one that exists and is announced again. */
export type CreateGroup = {
  groupName: string;
  /** Users to add. */
  users?: UserRef[];
  /** What users need to join. */
  password?: string;
} | {
  groupId: string;
};

/** What a device has of a room's changes. */
export type Cursor = number | {
  change: number;
  /** The oldest seq that it holds. */
  from: number;
};

/** Which messages to delete: one, or up to 100 of one room. */
export type DeleteRequest = {
  messageId: string;
  /** For the server's log, at most 500 bytes. */
  reason?: string;
} | {
  messageIds: string[];
  /** For the server's log, at most 500 bytes. */
  reason?: string;
};

/** How many messages were named. They are all deleted now. */
export interface Deleted {
  deleted: number;
}

export type DeletedMessages = Message | Deleted;

/** What deleting one's own account takes. */
export interface Deletion {
  /** The current password. Required to delete one's own account, except for users without a password and users of another issuer. */
  currentPassword?: string;
}

/** What has arrived: in one room, or in several. */
export type Delivered = {
  roomId: string;
  seq: number;
} | {
  /** Of each room, by its roomId, the seq. */
  rooms: Record<string, number>;
};

/** The current receipts: of the one room, or of the several rooms that were named. */
export type DeliveredReceipts = {
  seq: number;
} | {
  /** Of each room, by its roomId, the seq. */
  rooms: Record<string, number>;
};

/** One of the caller's rooms. */
export interface DirectConversation {
  roomId: string;
  /** `direct` or `group`. */
  kind: "direct";
  peer: User;
  lastSeq: number;
  /** The caller has received everything up to this seq. */
  delivered: number;
  /** The caller has read everything up to this seq. */
  read: number;
  unread: number;
  /** The newest change of its messages. */
  lastChange?: number;
  /** The user has marked it as unread, and has not read it since. */
  markedUnread?: boolean;
  archived?: boolean;
  notify?: Notify;
  mutedUntil?: Time;
  draft?: RoomDraft;
  lastMessage?: Message;
  /** How many of the unread messages mention the caller, or everyone. */
  unreadMentions?: number;
  /** How many threads with unread replies the caller follows. */
  unreadThreads?: number;
  /** After how many seconds messages disappear that are sent without saying so. */
  disappearAfter?: number;
}

/** After how long messages of a room disappear that are sent from now on. */
export interface DisappearAfter {
  /** 5 to 7,776,000 (90 days); null: they stay. */
  seconds: number | null;
}

/** After how long messages of a room disappear that are sent from now on. */
export interface Disappearing {
  /** A username, or a groupId if `group` is true. */
  receiver: string;
  group: boolean;
  /** 5 to 7,776,000 (90 days); null: they stay. */
  seconds: number | null;
}

/** What to replace in a message. What is left out stays. */
export interface EditRequest {
  messageId: string;
  /** As in the message: a string; for `encrypted` any JSON. */
  content?: unknown;
  /** The usernames of at most 50 members. Without them, `@username` in a new text mentions. */
  mentions?: string[];
  /** A JSON object of at most 4 KiB. */
  data?: Record<string, unknown>;
}

/** The contents that a message had before its edits, oldest first; at most 50. */
export interface Edits {
  versions: MessageVersion[];
}

/** A message in a room. */
export interface EncryptedMessage {
  messageId: string;
  roomId: string;
  /** Its position in the room: 1, 2, 3, ... without gaps. */
  seq: number;
  /** The sender's username. */
  sender: string;
  /** A username for a direct room, the groupId for a group, the roomId for the lobby. */
  receiver: string;
  /** Whether `receiver` is a room's id instead of a username. */
  group: boolean;
  /** A string for `text` and `system`; any JSON for `encrypted`, which the server does not read. */
  content: unknown;
  kind: "encrypted";
  timestamp: Time;
  /** Every member has received it. */
  deliveredToAll: boolean;
  /** Every member has read it. */
  readByAll: boolean;
  /** The id that its sender has given it. */
  clientMessageId?: string;
  /** The messageId of the message that it answers. */
  replyTo?: string;
  editedAt?: Time;
  deletedAt?: Time;
  /** The room's change that touched it last. */
  change?: number;
  /** How often it was edited. */
  edits?: number;
  /** The username of who has deleted it. */
  deletedBy?: string;
  /** The oldest key comes first. */
  reactions?: Reactions[];
  /** The keys with which the user has reacted who reads this; only in answers to that user. */
  myReactions?: string[];
  pinnedAt?: Time;
  /** The username of who has pinned it. */
  pinnedBy?: string;
  /** The seq of the message that it answers. */
  replySeq?: number;
  /** The messageId of the root of its thread. */
  thread?: string;
  /** A message of a thread is for the room, too. */
  alsoInRoom?: boolean;
  replies?: Replies;
  forwardedFrom?: ForwardedFrom;
  /** The usernames that its sender has named. */
  mentions?: string[];
  mentionsAll?: boolean;
  /** What its sender's client has added. */
  data?: Record<string, unknown>;
  expiresAt?: Time;
}

/** What is needed to join a group. */
export interface Entry {
  password?: string | null;
}

/** Programs decide by the code. docs/events.md explains each one. */
export type ErrorCode = "bad_request" | "unauthorized" | "token_missing" | "token_invalid" | "token_expired" | "token_revoked" | "ticket_used" | "forbidden" | "not_a_member" | "wrong_password" | "not_found" | "conflict" | "too_large" | "rate_limited" | "unavailable" | "internal";

/** The answer to an event that was refused. Nothing has changed. */
export interface Failure {
  success: false;
  error: Refusal;
}

/** The first admin, and the secret of the link that the server has printed. */
export interface FirstAdmin {
  link: string;
  username: string;
  password: string;
}

/** A thread to follow, or not to follow any more. */
export interface FollowRequest {
  /** The root of the thread, or a message in it. */
  messageId: string;
  on: boolean;
}

/** Whether the user follows the thread now. */
export interface Following {
  following: boolean;
}

/** Whether the caller follows the thread now. */
export interface Follows {
  following: boolean;
}

/** Where to forward a message. */
export interface ForwardMessage {
  /** A username, or a groupId if `group` is true. */
  receiver: string;
  group?: boolean;
  /** A text that is sent before the copy. */
  comment?: string;
  /** As for every message; the comment has the same with `:comment` behind it. */
  clientMessageId?: string;
}

/** A message to forward, and where to. */
export interface ForwardRequest {
  messageId: string;
  /** A username, or a groupId if `group` is true. */
  receiver: string;
  group: boolean;
  /** A text that is sent before the copy. */
  comment?: string;
  /** As for every message; the comment has the same with `:comment` behind it. */
  clientMessageId?: string;
}

/** Who has written a forwarded message first, and when. */
export interface ForwardedFrom {
  /** The username. */
  sender: string;
  timestamp: Time;
}

/** Messages by their ids. */
export interface GetMessages {
  /** At most 100. */
  messageIds: string[];
}

/** A named room that users join. */
export interface Group {
  /** The room's id. */
  groupId: string;
  groupName: string;
  /** Whether a password is needed to join. */
  hasPassword: boolean;
  /** The owner's username. */
  owner: string;
  memberCount: number;
  /** Shown to members only; at most 200 users. */
  users?: User[];
  lastSeq: number;
  createdAt: Time;
  /** Changes of the membership and the name are told by messages of the server. */
  systemMessages?: boolean;
}

/** What has happened to a group. */
export type GroupChange = "created" | "updated" | "deleted";

/** One of the caller's rooms. */
export interface GroupConversation {
  roomId: string;
  /** `direct` or `group`. */
  kind: "group";
  group: Group;
  lastSeq: number;
  /** The caller has received everything up to this seq. */
  delivered: number;
  /** The caller has read everything up to this seq. */
  read: number;
  unread: number;
  /** The newest change of its messages. */
  lastChange?: number;
  /** The user has marked it as unread, and has not read it since. */
  markedUnread?: boolean;
  archived?: boolean;
  notify?: Notify;
  mutedUntil?: Time;
  draft?: RoomDraft;
  lastMessage?: Message;
  /** How many of the unread messages mention the caller, or everyone. */
  unreadMentions?: number;
  /** How many threads with unread replies the caller follows. */
  unreadThreads?: number;
  /** After how many seconds messages disappear that are sent without saying so. */
  disappearAfter?: number;
}

/** A new group. */
export interface GroupDraft {
  groupName: string;
  /** The members, besides the caller. */
  users?: UserRef[];
  /** The password that is needed to join. */
  password?: string | null;
}

/** A message to a group. */
export type GroupMessage = {
  /** A groupId. */
  receiver: string;
  /** A string; for `encrypted` any JSON, which the server does not read. */
  content: string;
  /** `text` by default, or `encrypted`. */
  kind?: "text";
  /** An id of the client's choice, unique per sender and room. The same one again stores nothing and answers with the stored message. */
  clientMessageId?: string;
  /** The messageId of the message that this one answers. */
  replyTo?: string;
  /** The messageId of the root of a thread, or of a message in it. */
  thread?: string;
  /** Whether a message of a thread is for the room, too. */
  alsoInRoom?: boolean;
  /** The usernames of at most 50 members. Without them, `@username` in a text mentions. */
  mentions?: string[];
  /** Mentions everyone; in a group of more than 100 members only moderators may. */
  mentionsAll?: boolean;
  /** A JSON object of at most 4 KiB, which the server does not read. */
  data?: Record<string, unknown>;
  /** After how many seconds the message disappears: 5 to 7,776,000 (90 days). */
  expiresIn?: number;
} | {
  /** A groupId. */
  receiver: string;
  /** A string; for `encrypted` any JSON, which the server does not read. */
  content: unknown;
  /** `text` by default, or `encrypted`. */
  kind: "encrypted";
  /** An id of the client's choice, unique per sender and room. The same one again stores nothing and answers with the stored message. */
  clientMessageId?: string;
  /** The messageId of the message that this one answers. */
  replyTo?: string;
  /** The messageId of the root of a thread, or of a message in it. */
  thread?: string;
  /** Whether a message of a thread is for the room, too. */
  alsoInRoom?: boolean;
  /** The usernames of at most 50 members. Without them, `@username` in a text mentions. */
  mentions?: string[];
  /** Mentions everyone; in a group of more than 100 members only moderators may. */
  mentionsAll?: boolean;
  /** A JSON object of at most 4 KiB, which the server does not read. */
  data?: Record<string, unknown>;
  /** After how many seconds the message disappears: 5 to 7,776,000 (90 days). */
  expiresIn?: number;
};

/** A group. */
export interface GroupNotice {
  response: Group;
}

/** A page of the list of groups. */
export interface GroupPage {
  groups: Group[];
  /** Pass this as `after` to get the next page; null at the end. */
  next: string | null;
}

/** A group. */
export interface GroupReference {
  groupId: string;
}

/** The changes to a group. A null password removes the password. */
export interface GroupUpdate {
  groupName?: string;
  password?: string | null;
  /** Whether changes of the membership and the name are told by messages of the server. */
  systemMessages?: boolean;
}

/** The server works. */
export interface Health {
  /** Always `ok`. */
  status: string;
}

/** A page of a room's messages, oldest first. */
export interface History {
  messages: Message[];
  /** Whether there are more messages in the requested direction; with `around`, before these. */
  hasMore: boolean;
  /** The messages that these answer and that are not among them, as far as the page has room for them; only for who asks for changes. */
  referenced?: Message[];
  /** The messages show every change up to this one; only for who asks. */
  change?: number;
}

/** Which messages to return. Without `before` and `after`, the newest. */
export type HistoryRequest = {
  /** A username, or a groupId if `group` is true. */
  receiver: string;
  group: boolean;
  /** Only messages before this seq. The newest of them are returned. */
  before?: number;
  /** Only messages after this seq. The oldest of them are returned. */
  after?: number;
  /** The message with this seq, with messages before and after it, and without `before` and `after`. */
  around?: number;
  /** Only pinned messages. */
  pinned?: boolean;
  /** The messageId of the root of a thread, or of a message in it: only the root and its replies. */
  thread?: string;
  /** The most messages: 50 by default, at most 200. */
  limit?: number;
  /** Whether the answer says up to which change it shows everything. A socket that passed `changes` is always told. */
  changes?: boolean;
} | {
  /** The lobby, and no receiver. */
  lobby: true;
  /** Only messages before this seq. The newest of them are returned. */
  before?: number;
  /** Only messages after this seq. The oldest of them are returned. */
  after?: number;
  /** The message with this seq, with messages before and after it, and without `before` and `after`. */
  around?: number;
  /** Only pinned messages. */
  pinned?: boolean;
  /** The messageId of the root of a thread, or of a message in it: only the root and its replies. */
  thread?: string;
  /** The most messages: 50 by default, at most 200. */
  limit?: number;
  /** Whether the answer says up to which change it shows everything. A socket that passed `changes` is always told. */
  changes?: boolean;
};

/** A group to join, by its id or its name. */
export type JoinGroup = {
  groupId: string;
  password?: string;
} | {
  groupName: string;
  password?: string;
};

/** Why this socket ends. */
export interface LastWords {
  /** A sentence for people. It may change. */
  response: string;
}

/** Which part of a list to return. */
export interface ListRequest {
  /** Only names that contain this text. */
  search?: string;
  /** The most entries: 2,000 by default, which is also the maximum. */
  limit?: number;
  /** The id of the last entry of the page before. */
  after?: string;
}

/** Which part of the conversations to return. */
export interface ListRoomsRequest {
  /** The most entries: 2,000 by default, which is also the maximum. */
  limit?: number;
  /** The roomId of the last entry of the page before. */
  after?: string;
}

/** A message to everyone. */
export type LobbyMessage = {
  /** A string; for `encrypted` any JSON, which the server does not read. */
  content: string;
  /** `text` by default, or `encrypted`. */
  kind?: "text";
  /** An id of the client's choice, unique per sender and room. The same one again stores nothing and answers with the stored message. */
  clientMessageId?: string;
  /** The messageId of the message that this one answers. */
  replyTo?: string;
  /** The messageId of the root of a thread, or of a message in it. */
  thread?: string;
  /** Whether a message of a thread is for the room, too. */
  alsoInRoom?: boolean;
  /** The usernames of at most 50 members. Without them, `@username` in a text mentions. */
  mentions?: string[];
  /** Mentions everyone; in a group of more than 100 members only moderators may. */
  mentionsAll?: boolean;
  /** A JSON object of at most 4 KiB, which the server does not read. */
  data?: Record<string, unknown>;
  /** After how many seconds the message disappears: 5 to 7,776,000 (90 days). */
  expiresIn?: number;
} | {
  /** A string; for `encrypted` any JSON, which the server does not read. */
  content: unknown;
  /** `text` by default, or `encrypted`. */
  kind: "encrypted";
  /** An id of the client's choice, unique per sender and room. The same one again stores nothing and answers with the stored message. */
  clientMessageId?: string;
  /** The messageId of the message that this one answers. */
  replyTo?: string;
  /** The messageId of the root of a thread, or of a message in it. */
  thread?: string;
  /** Whether a message of a thread is for the room, too. */
  alsoInRoom?: boolean;
  /** The usernames of at most 50 members. Without them, `@username` in a text mentions. */
  mentions?: string[];
  /** Mentions everyone; in a group of more than 100 members only moderators may. */
  mentionsAll?: boolean;
  /** A JSON object of at most 4 KiB, which the server does not read. */
  data?: Record<string, unknown>;
  /** After how many seconds the message disappears: 5 to 7,776,000 (90 days). */
  expiresIn?: number;
};

/** A login of the caller. */
export interface Login {
  id: string;
  /** The address where it was last used. */
  address: string | null;
  /** The program that logged in, as it names itself (`User-Agent`). */
  client: string | null;
  createdAt: Time;
  lastUsedAt: Time;
  /** Whether it is the login of this request. */
  current: boolean;
}

/** The credentials of a sign-in: `username` (or `userID`, for front ends that use this name) and `password`. */
export interface LoginRequest {
  username?: string;
  userID?: string;
  password: string;
}

/** The logins of the caller. */
export interface Logins {
  sessions: Login[];
}

/** How far a conversation was read. */
export interface MarkRead {
  /** A username, or a groupId if `group` is true. */
  receiver: string;
  group: boolean;
  seq: number;
  /** The root of a thread, or a message in it: its replies were read, and not the room. */
  thread?: string;
  /** The replies of all threads were read that one follows, and not the room. */
  threads?: boolean;
}

/** A user in a room: the user's fields, and the user's role and receipts in the room. */
export type Member = User & {
  /** The role of a member in a group. */
  role: "owner" | "admin" | "member";
  delivered: number;
  read: number;
  joinedAt: Time;
};

/** A member of a group, with the role that the member has now. */
export interface MemberChanged {
  groupId: string;
  username: string;
  role: Role;
}

/** A page of the list of a room's members. */
export interface MemberPage {
  members: Member[];
  /** Pass this as `after` to get the next page; null at the end. */
  next: string | null;
}

/** A user and a group. */
export interface Membership {
  groupId: string;
  username: string;
}

/** A message in a room. */
export type Message = TextMessage | EncryptedMessage | SystemMessage;

/** A message was changed. */
export interface MessageChanged {
  roomId: string;
  /** As in the message: a username for a direct room, the groupId for a group, the roomId for the lobby. */
  receiver: string;
  group: boolean;
  messageId: string;
  /** The message's. */
  seq: number;
  /** The position of this change among the changes of its room: 1, 2, 3, ... */
  change: number;
  at: Time;
  /** The username of who has made it; not in a replay. */
  by?: string;
  what: WhatChanged[];
  set: ChangedFields;
  /** Everyone who has reacted in this change, or has withdrawn a reaction. */
  reacted?: Reacted[];
  /** The usernames of those whom an edit mentions and who were not mentioned before. */
  mentioned?: string[];
}

/** Which messages to delete. */
export interface MessageDeletion {
  /** Up to 100 messages of one room. */
  messageIds: string[];
  /** For the server's log, at most 500 bytes. */
  reason?: string | null;
}

/** What to replace in a message. What is left out stays. */
export interface MessageEdit {
  /** As in the message: a string; for `encrypted` any JSON. */
  content?: unknown;
  /** The usernames of at most 50 members. Without them, `@username` in a new text mentions. */
  mentions?: string[];
  /** A JSON object of at most 4 KiB. */
  data?: Record<string, unknown>;
}

/** A message. */
export interface MessageNotice {
  response: Message;
}

/** One message. */
export interface MessageOf {
  messageId: string;
}

/** A member has read a room up to `seq`. */
export interface MessageRead {
  roomId: string;
  /** A username for a direct room, the groupId for a group. */
  receiver: string;
  group: boolean;
  /** Who has read. */
  username: string;
  seq: number;
}

/** A message, and where it goes. */
export interface MessageToSend {
  /** A username, or a groupId if `group` is true. Not in the lobby. */
  receiver?: string;
  group?: boolean;
  /** Writes to everyone, and needs no receiver. */
  lobby?: boolean;
  /** A string; for `encrypted` any JSON, which the server does not read. */
  content: unknown;
  /** `text` by default, or `encrypted`. */
  kind?: string;
  /** An id of the client's choice, unique per sender and room. The same one again stores nothing and answers with the stored message. */
  clientMessageId?: string;
  /** The messageId of the message that this one answers. */
  replyTo?: string;
  /** The messageId of the root of a thread, or of a message in it. */
  thread?: string;
  /** Whether a message of a thread is for the room, too. */
  alsoInRoom?: boolean;
  /** The usernames of at most 50 members. Without them, `@username` in a text mentions. */
  mentions?: string[];
  /** Mentions everyone; in a group of more than 100 members only moderators may. */
  mentionsAll?: boolean;
  /** A JSON object of at most 4 KiB, which the server does not read. */
  data?: Record<string, unknown>;
  /** After how many seconds the message disappears: 5 to 7,776,000 (90 days). */
  expiresIn?: number;
}

/** A content that a message had before an edit. */
export interface MessageVersion {
  /** As in the message. */
  content: unknown;
  at: Time;
}

/** The users to add. */
export interface NewMembers {
  users: UserRef[];
}

/** The role that a member is to have. */
export interface NewRole {
  role: Role;
}

/** A draft to keep. */
export interface NewRoomDraft {
  /** A text, limited like that of a message. */
  content: string;
  /** The messageId of the message that it answers. The server does not look for it. */
  replyTo?: string;
}

/** Which messages of a room to notify the user of. The server stores it, and clients act on it. */
export type Notify = "all" | "mentions" | "none";

/** A user went online or offline. */
export interface OnlineStatus {
  username: string;
  online: boolean;
  lastSeen: Time;
}

/** One's own settings of a room. What is not given stays. */
export interface OwnSettings {
  notify?: Notify;
  mutedUntil?: Time | null;
  archived?: boolean;
  /** Until the user reads the room, or writes into it. */
  markedUnread?: boolean;
  draft?: NewRoomDraft | null;
}

/** A message to pin, or to take the pin away from. */
export interface PinRequest {
  messageId: string;
  /** `false` takes the pin away. */
  on: boolean;
}

/** A message to a user. */
export type PrivateMessage = {
  /** A username. */
  receiver: string;
  /** A string; for `encrypted` any JSON, which the server does not read. */
  content: string;
  /** `text` by default, or `encrypted`. */
  kind?: "text";
  /** An id of the client's choice, unique per sender and room. The same one again stores nothing and answers with the stored message. */
  clientMessageId?: string;
  /** The messageId of the message that this one answers. */
  replyTo?: string;
  /** The messageId of the root of a thread, or of a message in it. */
  thread?: string;
  /** Whether a message of a thread is for the room, too. */
  alsoInRoom?: boolean;
  /** The usernames of at most 50 members. Without them, `@username` in a text mentions. */
  mentions?: string[];
  /** Mentions everyone; in a group of more than 100 members only moderators may. */
  mentionsAll?: boolean;
  /** A JSON object of at most 4 KiB, which the server does not read. */
  data?: Record<string, unknown>;
  /** After how many seconds the message disappears: 5 to 7,776,000 (90 days). */
  expiresIn?: number;
} | {
  /** A username. */
  receiver: string;
  /** A string; for `encrypted` any JSON, which the server does not read. */
  content: unknown;
  /** `text` by default, or `encrypted`. */
  kind: "encrypted";
  /** An id of the client's choice, unique per sender and room. The same one again stores nothing and answers with the stored message. */
  clientMessageId?: string;
  /** The messageId of the message that this one answers. */
  replyTo?: string;
  /** The messageId of the root of a thread, or of a message in it. */
  thread?: string;
  /** Whether a message of a thread is for the room, too. */
  alsoInRoom?: boolean;
  /** The usernames of at most 50 members. Without them, `@username` in a text mentions. */
  mentions?: string[];
  /** Mentions everyone; in a group of more than 100 members only moderators may. */
  mentionsAll?: boolean;
  /** A JSON object of at most 4 KiB, which the server does not read. */
  data?: Record<string, unknown>;
  /** After how many seconds the message disappears: 5 to 7,776,000 (90 days). */
  expiresIn?: number;
};

/** The body of every refusal: RFC 9457, with the fields of every other refusal beside it. */
export interface Problem {
  /** Always `about:blank`. `code` identifies the problem. */
  type: string;
  /** The name of the status. */
  title: string;
  status: number;
  /** A sentence for people. It may change. */
  detail: string;
  /** The same sentence, under the name that it has in every other answer of this server. */
  message: string;
  code: ErrorCode;
  /** What refines the code. */
  reason?: string;
  /** The part of the request that caused the error. */
  field?: string;
  retryAfterMs?: number;
  /** The answer's `x-request-id`, which is also in the server's log. */
  requestId?: string;
}

/** A reaction, or its withdrawal. */
export interface ReactRequest {
  messageId: string;
  /** Such as an emoji: 1 to 64 bytes. */
  key: string;
  /** `false` withdraws the reaction. */
  on: boolean;
}

/** A user has reacted with a key, or has withdrawn that. */
export interface Reacted {
  username: string;
  key: string;
  on: boolean;
}

/** Who has reacted to a message with one key. */
export interface Reactions {
  key: string;
  count: number;
  /** The usernames of the first 20. */
  users: string[];
}

/** Whose reactions to return. */
export interface ReactionsRequest {
  messageId: string;
  /** Only reactions with this key. */
  key?: string;
  /** `after` of the part before. */
  after?: string;
  /** The most reactions: 50 by default, at most 200. */
  limit?: number;
}

/** How far a room was read, or its threads. */
export interface ReadMark {
  seq: number;
  /** The root of a thread, or a message in it: its replies were read, and not the room. */
  thread?: string;
  /** The replies of all threads were read that the caller follows, and not the room. */
  threads?: boolean;
}

/** The current receipt. */
export interface ReadReceipt {
  seq: number;
}

/** The current receipt of a room. */
export interface Receipt {
  seq: number;
}

/** A newer token of the same user. */
export interface RefreshToken {
  token: string;
}

/** Why a request was refused: the same fields in every answer, on every transport. */
export interface Refusal {
  code: ErrorCode;
  /** A sentence for people. It may change. */
  message: string;
  /** What refines the code. */
  reason?: string;
  /** The part of the request that caused the error. */
  field?: string;
  /** The same request may succeed after this time. */
  retryAfterMs?: number;
  /** The id of this request in the server's log. */
  requestId?: string;
}

/** A member to remove from a group. */
export interface RemoveMember {
  groupId: string;
  username: string;
}

/** The replies of a thread, without deleted ones. */
export interface Replies {
  count: number;
  /** The newest; the root's seq if there are none. */
  lastSeq: number;
  /** The usernames of the first who have answered, at most 5. */
  users: string[];
}

/** The role of a member in a group. */
export type Role = "owner" | "admin" | "member";

/** The role that a member is to have. */
export interface RoleChange {
  groupId: string;
  username: string;
  role: Role;
}

/** Something differs in one of the user's rooms. */
export interface RoomChanged {
  roomId: string;
  set: RoomFields;
}

/** A message that the user has begun to write. */
export interface RoomDraft {
  content: string;
  /** The messageId of the message that it answers. */
  replyTo?: string;
}

/** The fields of the conversation that differ now, whole. `null`: back at the default, or no longer there. */
export interface RoomFields {
  read?: number;
  unread?: number;
  unreadMentions?: number | null;
  unreadThreads?: number | null;
  markedUnread?: boolean | null;
  archived?: boolean | null;
  notify?: Notify | null;
  mutedUntil?: Time | null;
  draft?: RoomDraft | null;
  /** In seconds. */
  disappearAfter?: number | null;
}

/** A change in the list of groups. */
export interface RoomsChanged {
  response: Group;
  change: GroupChange;
}

/** The answer to an event that was refused. Nothing has changed. The answer to a successful event is the bare value. */
export interface RootFailure {
  error: Refusal;
}

/** The current login. */
export interface Session {
  user: User;
  expiresAt: Time;
}

/** One's own settings of a room. What is not given stays. */
export interface SetRoom {
  /** A username, or a groupId if `group` is true. */
  receiver: string;
  group: boolean;
  notify?: Notify;
  mutedUntil?: Time | null;
  archived?: boolean;
  /** Until the user reads the room, or writes into it. */
  markedUnread?: boolean;
  draft?: NewRoomDraft | null;
}

/** A token, under both names that front ends use. */
export interface SignIn {
  token: string;
  /** The same value as `token`. */
  jwtToken: string;
  expiresAt: Time;
  user: User;
}

/** A new account. */
export interface SignUp {
  username: string;
  password: string;
  firstName?: string | null;
  lastName?: string | null;
  email?: string | null;
  phone?: string | null;
  profile?: Record<string, unknown> | null;
}

/** What this socket has now, by roomId. */
export interface Synced {
  rooms: Record<string, SyncedUpTo>;
}

/** What this socket has of a room. */
export interface SyncedUpTo {
  seq: number;
  change: number;
  /** Too much has changed, or the numbers were not this server's: forget what you hold of this room, and read `history`. */
  reset?: boolean;
}

/** A message in a room. */
export interface SystemMessage {
  messageId: string;
  roomId: string;
  /** Its position in the room: 1, 2, 3, ... without gaps. */
  seq: number;
  /** The sender's username. */
  sender: string;
  /** A username for a direct room, the groupId for a group, the roomId for the lobby. */
  receiver: string;
  /** Whether `receiver` is a room's id instead of a username. */
  group: boolean;
  /** A string for `text` and `system`; any JSON for `encrypted`, which the server does not read. */
  content: string;
  kind: "system";
  timestamp: Time;
  /** Every member has received it. */
  deliveredToAll: boolean;
  /** Every member has read it. */
  readByAll: boolean;
  /** The id that its sender has given it. */
  clientMessageId?: string;
  /** The messageId of the message that it answers. */
  replyTo?: string;
  editedAt?: Time;
  deletedAt?: Time;
  /** The room's change that touched it last. */
  change?: number;
  /** How often it was edited. */
  edits?: number;
  /** The username of who has deleted it. */
  deletedBy?: string;
  /** The oldest key comes first. */
  reactions?: Reactions[];
  /** The keys with which the user has reacted who reads this; only in answers to that user. */
  myReactions?: string[];
  pinnedAt?: Time;
  /** The username of who has pinned it. */
  pinnedBy?: string;
  /** The seq of the message that it answers. */
  replySeq?: number;
  /** The messageId of the root of its thread. */
  thread?: string;
  /** A message of a thread is for the room, too. */
  alsoInRoom?: boolean;
  replies?: Replies;
  forwardedFrom?: ForwardedFrom;
  /** The usernames that its sender has named. */
  mentions?: string[];
  mentionsAll?: boolean;
  /** What its sender's client has added. */
  data?: Record<string, unknown>;
  expiresAt?: Time;
}

/** A message in a room. */
export interface TextMessage {
  messageId: string;
  roomId: string;
  /** Its position in the room: 1, 2, 3, ... without gaps. */
  seq: number;
  /** The sender's username. */
  sender: string;
  /** A username for a direct room, the groupId for a group, the roomId for the lobby. */
  receiver: string;
  /** Whether `receiver` is a room's id instead of a username. */
  group: boolean;
  /** A string for `text` and `system`; any JSON for `encrypted`, which the server does not read. */
  content: string;
  kind: "text";
  timestamp: Time;
  /** Every member has received it. */
  deliveredToAll: boolean;
  /** Every member has read it. */
  readByAll: boolean;
  /** The id that its sender has given it. */
  clientMessageId?: string;
  /** The messageId of the message that it answers. */
  replyTo?: string;
  editedAt?: Time;
  deletedAt?: Time;
  /** The room's change that touched it last. */
  change?: number;
  /** How often it was edited. */
  edits?: number;
  /** The username of who has deleted it. */
  deletedBy?: string;
  /** The oldest key comes first. */
  reactions?: Reactions[];
  /** The keys with which the user has reacted who reads this; only in answers to that user. */
  myReactions?: string[];
  pinnedAt?: Time;
  /** The username of who has pinned it. */
  pinnedBy?: string;
  /** The seq of the message that it answers. */
  replySeq?: number;
  /** The messageId of the root of its thread. */
  thread?: string;
  /** A message of a thread is for the room, too. */
  alsoInRoom?: boolean;
  replies?: Replies;
  forwardedFrom?: ForwardedFrom;
  /** The usernames that its sender has named. */
  mentions?: string[];
  mentionsAll?: boolean;
  /** What its sender's client has added. */
  data?: Record<string, unknown>;
  expiresAt?: Time;
}

/** A thread of a room, as the caller has read it. */
export interface Thread {
  root: Message;
  /** The caller has read the replies up to this seq. */
  read: number;
  /** The number of replies of others after that. */
  unread: number;
  following: boolean;
}

/** Threads of a room, those with the newest reply first. */
export interface Threads {
  threads: Thread[];
  /** Whether there are more. */
  more: boolean;
}

/** Which threads of a room to return. */
export interface ThreadsRequest {
  /** A username, or a groupId if `group` is true. */
  receiver: string;
  group: boolean;
  /** Only threads that one follows, with unread replies. */
  unread?: boolean;
  /** Only threads whose newest reply is before this seq. */
  before?: number;
  /** The most threads: 20 by default, at most 100. */
  limit?: number;
}

/** A ticket. It is shown only once. */
export interface Ticket {
  ticket: string;
  expiresAt: Time;
}

/** A time in the protocol's form: RFC 3339 in UTC with exactly three decimals and a `Z`. */
export type Time = string;

/** When the token of this socket ends. */
export interface TokenExpiring {
  expiresAt: Time;
}

/** When the token that counts ends. */
export interface TokenLife {
  expiresAt: Time;
}

/** Whether the user is typing. */
export interface Typing {
  /** A username, or a groupId if `group` is true. */
  receiver: string;
  group: boolean;
  typing: boolean;
}

/** A user is typing, or no longer. */
export interface TypingNotice {
  sender: string;
  /** A username for a direct room, the groupId for a group. */
  receiver: string;
  group: boolean;
  typing: boolean;
}

/** The changes to a group. What is not given stays. */
export interface UpdateGroup {
  groupId: string;
  groupName?: string;
  /** null removes the password. */
  password?: string | null;
  /** Whether changes of the membership and the name are told by messages of the server. */
  systemMessages?: boolean;
}

/** An account. */
export interface User {
  id: string;
  username: string;
  /** The username if the user has no first name. */
  firstName: string;
  lastName: string | null;
  isOnline: boolean;
  lastSeen: Time | null;
  /** Any JSON object that the user has set; empty by default. */
  profile: Record<string, unknown>;
  /** In lists: true if the profile is larger than 1,024 bytes. `profile` is then an empty object. Request the single user to get it. */
  profileLeftOut?: boolean;
  /** Shown to the user and to admins only, and only if it is set. */
  email?: string;
  /** Shown to the user and to admins only, and only if it is set. */
  phone?: string;
  /** Whether the user administers this server. Shown to the user and to admins only, and only if it is true. */
  isAdmin?: boolean;
}

/** A page of the list of users. */
export interface UserPage {
  users: User[];
  /** Pass this as `after` to get the next page; null at the end. */
  next: string | null;
}

/** A user's reaction to a message. */
export interface UserReaction {
  username: string;
  key: string;
  at: Time;
}

/** Who has reacted to a message, oldest first. */
export interface UserReactions {
  users: UserReaction[];
  /** Where the next part begins; left out in the last one. */
  after?: string;
}

/** A username, or an object that contains it. */
export type UserRef = string | {
  username: string;
};

/** What a change has done. `caught-up`: anything, the message is sent as it stands now. */
export type WhatChanged = "edited" | "deleted" | "reactions" | "pinned" | "caught-up";

// The types that the modules of this client share.

// What the server sends, from its own types.
import type {
  ChangedFields,
  Conversation,
  Group,
  Login,
  Member,
  Message,
  MessageChanged,
  Refusal,
  RoomDraft,
  RoomFields,
  SetRoom,
  SyncedUpTo,
  User,
} from '../contract/parlor';
export type { Group, Member, Message, MessageChanged, RoomFields, SetRoom, SyncedUpTo, User };

/** An entry of `listRooms`. */
export type Room = Conversation;

/** An entry of the list of one's logins. */
export type Session = Login;

/** A refusal, from HTTP or from a socket. */
export type Problem = Refusal;

export type Answer = { success: true; response: any } | { success: false; error: Problem };

/** What `/parlor.json` says. */
export interface Facts {
  version: string;
  signUp: boolean;
  socketIo: boolean;
  webSocket: boolean;
  contentBytes: number;
  hasCookie: boolean;
}

/** What a connector needs, and whom it tells. */
export interface Hooks {
  /** A token that is valid now. */
  token(): Promise<string>;
  /** Of each room, up to where this device has everything; most recent rooms first. */
  since(most: number): Record<string, number>;
  /** Of the same rooms, the newest change that this device has, and the oldest message that it holds. */
  changes(most: number): Record<string, { change: number; from: number }>;
  up(): void;
  down(): void;
  /** The server accepts this login no more. */
  ended(): void;
  event(name: string, data: any): void;
}

/** A lasting connection that comes back by itself. The two kinds differ in nothing else. */
export interface Connector {
  readonly name: 'Socket.IO' | 'WebSocket';
  open(): void;
  close(): void;
  /** Asks whether the connection still lives, and opens another one if not. */
  check(): void;
  /** Sends an event, and resolves to its answer. Rejects if the connection ends first. */
  request(event: string, data: object): Promise<Answer>;
  /** Sends an event that may be lost. */
  send(event: string, data: object): void;
}

/** A conversation, as this device knows it. */
export interface Place {
  /** `u:<username>`, `g:<groupId>` or `lobby`. */
  key: string;
  kind: 'direct' | 'group' | 'lobby';
  roomId?: string;
  peer?: string;
  group?: Group;
  /** This device has every message from `first` to `last`; 0 for none. */
  first: number;
  last: number;
  /** This device has all changes of these messages up to this one. */
  change?: number;
  /** How far the user has read, and what is unread. */
  read: number;
  unread: number;
  /** `unread` has everything up to this message: some of it may come later. */
  counted?: number;
  /** Up to where the user's own messages were delivered to all, and read by all. */
  deliveredTo: number;
  readTo: number;
  /** The user's own role in a group, once it is known. */
  role?: Member['role'];
  /** The user's own settings, and counts that only the server knows. */
  markedUnread?: boolean;
  archived?: boolean;
  notify?: Room['notify'];
  mutedUntil?: string;
  draft?: RoomDraft;
  disappearAfter?: number;
  unreadMentions?: number;
  unreadThreads?: number;
  lastMessage?: Message;
}

/** What was done to a message after it was sent. */
export interface Change {
  messageId: string;
  seq: number;
  change: number;
  set: ChangedFields;
}

/** A message that was written here and is not known to be stored. */
export interface Unsent {
  /** Also its `clientMessageId`. */
  id: string;
  key: string;
  content: string;
  /** The messageId of the message that it answers. */
  replyTo?: string;
  /** The messageId of the root of its thread, and whether it is for the room, too. */
  thread?: string;
  alsoInRoom?: boolean;
  at: number;
  order: number;
  /** Why the server refuses it for good. */
  problem?: Problem;
  /** Stored by the server; its message has not come yet. */
  stored?: boolean;
}

export interface Timeline {
  /** Without a hole, oldest first. */
  messages: Message[];
  /** Whether the server may have older ones. */
  hasOlder: boolean;
  /** What is under way. */
  loading: Promise<void> | null;
  /** Nothing is known yet. */
  isFresh: boolean;
  failed: boolean;
}

export type Status = 'connecting' | 'online' | 'offline' | 'displaced';
export type Topic = 'status' | 'me' | 'places' | 'people' | 'groups' | 'members' | 'pins' | `timeline ${string}` | `typing ${string}` | `draft ${string}`;

declare global {
  interface CSSStyleDeclaration {
    fieldSizing: string;
  }
}

// The chat without its looks: HTTP to sign in, one socket for the rest, and signals that the components show.
import { Injectable, computed, isDevMode, signal } from '@angular/core';
import { io, type Socket } from 'socket.io-client';
import type { AnswerTo, ClientToServerEvents, Conversation, Message, ServerToClientEvents, SignIn } from 'parlor';

/** A built page is served by Parlor itself (`web.folder`). */
const server = isDevMode() ? 'http://localhost:8087' : location.origin;

/** A conversation: `u:` and a username, or `g:` and a groupId. */
export interface Room { key: string; name: string; roomId?: string; lastSeq: number; unread: number; last?: Message }
/** A message of one's own that the server has not confirmed. */
export interface Draft { id: string; key: string; text: string; problem?: string }
/** Of a conversation that was opened: its newest messages without a gap, and whether there are older ones. */
export interface Page { messages: Message[]; hasOlder: boolean }

@Injectable({ providedIn: 'root' })
export class Chat {
  readonly me = signal(sessionStorage.getItem('me') ?? '');
  readonly isSignedIn = signal(false); readonly isOnline = signal(false); readonly notice = signal('');
  readonly rooms = signal<Room[]>([]);
  readonly openKey = signal('');
  readonly open = computed(() => this.rooms().find(({ key }) => key === this.openKey()));
  readonly pages = signal<Record<string, Page>>({}); readonly drafts = signal<Draft[]>([]);
  #token = sessionStorage.getItem('token') ?? '';
  readonly #socket: Socket<ServerToClientEvents, ClientToServerEvents> = io(`${server}/chat`, {
    autoConnect: false, retries: 3, ackTimeout: 5000,
    auth: (give) => give({ token: this.#token, since: this.#since() }),
  });

  constructor() {
    this.#listen(); // before it connects
    if (this.#token) this.#enter(this.me());
  }

  async signIn(username: string, password: string, isNew: boolean) {
    this.#token = '';
    if (isNew) await this.#post('/api/users', { username, password });
    const { token, user } = await this.#post<SignIn>('/api/auth/login', { username, password });
    this.#keep(token);
    sessionStorage.setItem('me', user.username);
    if (!this.me() || this.me() === user.username) this.#enter(user.username);
    else location.reload(); // What is not sent yet belongs to the user who wrote it.
  }

  async #post<T>(path: string, body?: object): Promise<T> {
    const headers = { 'content-type': 'application/json', ...(this.#token && { authorization: `Bearer ${this.#token}` }) };
    const answer = await fetch(server + path, { method: 'POST', headers, body: body && JSON.stringify(body) });
    const result = await answer.json();
    if (!answer.ok) throw new Error(result.message);
    return result;
  }

  #keep = (token: string) => sessionStorage.setItem('token', (this.#token = token));
  #enter(me: string) {
    this.me.set(me); this.isSignedIn.set(true); this.notice.set('');
    this.#socket.connect();
  }

  #loginEnded(notice: string) {
    this.#keep('');
    this.#socket.disconnect();
    this.isSignedIn.set(false);
    this.notice.set(notice);
  }

  /** Of each room, the last message that this page has; the server sends what follows. A fresh page has nothing. */
  #since = () => Object.fromEntries(this.rooms().flatMap(({ roomId, key, lastSeq }) => (roomId ? [[roomId, this.pages()[key]?.messages.at(-1)?.seq ?? lastSeq]] : [])));

  #listen() {
    const socket = this.#socket;
    socket.on('connect', () => { this.isOnline.set(true); void this.#list(); });
    socket.on('disconnect', () => this.isOnline.set(false));
    // After a break the client comes back by itself (`active`); after a refusal it does not.
    socket.on('connect_error', ({ message }) => { if (!socket.active) this.#loginEnded(message.replace(/^\w+: /, '')); });
    socket.on('token-expiring', async () => {
      const fresh = await this.#post<SignIn>('/api/auth/refresh').catch(() => undefined);
      if (!fresh) return; // `token-expired` follows.
      this.#keep(fresh.token);
      await this.#ask('refreshToken', { token: fresh.token }).catch(() => undefined);
    });
    socket.on('token-expired', () => this.#loginEnded('Your login has ended. Sign in again: nothing you wrote is lost.'));
    socket.on('displaced', ({ response }) => this.notice.set(response));
    socket.on('response', ({ response: message }, acknowledge) => { this.#take(message); acknowledge?.({ success: true }); });
    socket.on('updateDeliveryStatusOnConnection', ({ response }) => this.#change(this.#keyOf(response), ({ seq }) => seq === response.seq, { deliveredToAll: true }));
    socket.on('messageRead', ({ receiver, group, username, seq }) => {
      if (username === this.me()) this.#setRoom((group ? 'g:' : 'u:') + receiver, { unread: 0 });
      else if (!group) this.#change(`u:${username}`, (message) => message.seq <= seq, { deliveredToAll: true, readByAll: true });
    });
    socket.on('messageChanged', ({ roomId, seq, set }) => {
      const room = this.rooms().find((each) => each.roomId === roomId);
      if (room) this.#change(room.key, (message) => message.seq === seq, set as Partial<Message>);
    });
    socket.on('newgrp', () => void this.#list());
    document.addEventListener('visibilitychange', () => this.#read(this.openKey()));
  }

  /** What the server answers if it agrees. */
  async #ask<E extends keyof ClientToServerEvents>(event: E, payload: Parameters<ClientToServerEvents[E]>[0]) {
    const answer = (await this.#socket.emitWithAck(event, ...([payload] as never))) as AnswerTo<E>;
    if (!answer.success) throw new Error(answer.error.message);
    return answer.response as Extract<AnswerTo<E>, { success: true }>['response'];
  }

  async #list() {
    const before = this.rooms();
    const room = ({ roomId, lastSeq, unread, lastMessage: last, ...each }: Conversation): Room => each.kind === 'group'
      ? { key: `g:${each.group.groupId}`, name: each.group.groupName, roomId, lastSeq, unread, last }
      : { key: `u:${each.peer.username}`, name: each.peer.username, roomId, lastSeq, unread, last };
    const listed = (await this.#ask('listRooms', {}).catch(() => [])).map(room); // The next connection asks again.
    if (listed.length === 0) return;
    const newer = this.rooms().filter((each) => each.roomId && !before.includes(each)); // It has changed since this was asked: ask again.
    const kept = [...newer, ...this.rooms().filter(({ key, roomId }) => !roomId && !listed.some((each) => each.key === key))];
    this.rooms.set([...kept, ...listed.filter(({ key }) => !kept.some((each) => each.key === key))]);
    if (newer.length > 0) void this.#list();
  }

  #keyOf = ({ group, receiver, sender }: Message) => (group ? `g:${receiver}` : `u:${sender === this.me() ? receiver : sender}`);
  #setRoom = (key: string, fields: Partial<Room>) => this.rooms.update((rooms) => rooms.map((room) => (room.key === key ? { ...room, ...fields } : room)));
  #setPage = (key: string, page: Page) => this.pages.update((pages) => ({ ...pages, [key]: page }));
  #change(key: string, isMeant: (message: Message) => boolean, fields: Partial<Message>) {
    const page = this.pages()[key];
    if (page) this.#setPage(key, { ...page, messages: page.messages.map((message) => (isMeant(message) ? ({ ...message, ...fields } as Message) : message)) });
  }

  #take(message: Message) {
    const key = this.#keyOf(message);
    const known = this.rooms().find((room) => room.key === key) ?? { key, name: key.slice(2), lastSeq: 0, unread: 0 };
    const isNews = message.seq > known.lastSeq && message.sender !== this.me() && key !== this.openKey();
    const room = { ...known, roomId: message.roomId, last: message, lastSeq: Math.max(known.lastSeq, message.seq), unread: known.unread + (isNews ? 1 : 0) };
    this.rooms.update((rooms) => [room, ...rooms.filter((each) => each.key !== key)]);
    this.drafts.update((drafts) => drafts.filter(({ id }) => id !== message.clientMessageId));
    if (this.pages()[key]) this.#setPage(key, { ...this.pages()[key], messages: merge(this.pages()[key].messages, [message]) });
    if (key === this.openKey()) this.#read(key);
  }

  #read(key: string) {
    const last = this.pages()[key]?.messages.at(-1);
    if (!last || document.hidden) return;
    this.#setRoom(key, { unread: 0 });
    this.#ask('markRead', { ...address(key), seq: last.seq }).catch(() => undefined);
  }

  async show(key: string) {
    if (!this.rooms().some((room) => room.key === key)) this.rooms.update((rooms) => [{ key, name: key.slice(2), lastSeq: 0, unread: 0 }, ...rooms]);
    this.openKey.set(key); this.notice.set('');
    if (!this.pages()[key]) await this.older(key);
    this.#read(key);
  }

  /** Reads a page of history: the newest one at first. */
  async older(key: string) {
    const before = this.pages()[key]?.messages[0]?.seq;
    if (!this.pages()[key]) this.#setPage(key, { messages: [], hasOlder: false });
    try {
      const page = await this.#ask('history', { ...address(key), limit: 30, ...(before && { before }) });
      this.#setPage(key, { messages: merge(page.messages, this.pages()[key].messages), hasOlder: page.hasMore });
    } catch (error) {
      this.rooms.update((rooms) => rooms.filter((room) => room.key !== key));
      this.notice.set(`${key.slice(2)}: ${(error as Error).message}`);
    }
  }

  send = (key: string, text: string) => this.deliver({ id: crypto.randomUUID(), key, text });
  /** Sends a message, or sends it again: the same `clientMessageId` is stored once. The client repeats it after a break. */
  async deliver({ id, key, text }: Draft) {
    const put = (problem?: string) => this.drafts.update((drafts) => [...drafts.filter((draft) => draft.id !== id), { id, key, text, problem }]);
    put();
    try {
      await this.#ask(key[0] === 'g' ? 'groupMessage' : 'privateMessage', { receiver: key.slice(2), content: text, clientMessageId: id });
    } catch (error) {
      put((error as Error).message);
    }
  }
}

const address = (key: string) => ({ receiver: key.slice(2), group: key[0] === 'g' });
const merge = (...lists: Message[][]) => [...new Map(lists.flat().map((message) => [message.seq, message])).values()].sort((a, b) => a.seq - b.seq);

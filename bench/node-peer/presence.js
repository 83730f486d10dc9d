// Who is online: told to everyone while few are, and to those who share a room beyond that.

const EVERYONE_UP_TO = 1_000;
const GRACE = 3_000;

export class Presence {
  #chat;
  // Sockets by user, and the timers of those who have just gone.
  #online = new Map();
  #leaving = new Map();

  constructor(chat) {
    this.#chat = chat;
  }

  came(socket) {
    const { id, username } = socket.data.user;
    const sockets = (this.#online.get(id) ?? 0) + 1;
    this.#online.set(id, sockets);
    const leaving = this.#leaving.get(id);
    if (leaving) {
      clearTimeout(leaving);
      this.#leaving.delete(id);
    } else if (sockets === 1) {
      this.#tell(socket.data.rooms, id, { username, online: true, lastSeen: new Date().toISOString() });
    }
  }

  left(socket) {
    const { id, username } = socket.data.user;
    const sockets = this.#online.get(id) - 1;
    this.#online.set(id, sockets);
    if (sockets > 0) return;
    const lastSeen = new Date().toISOString();
    const timer = setTimeout(() => {
      this.#leaving.delete(id);
      this.#online.delete(id);
      this.#tell(socket.data.rooms, id, { username, online: false, lastSeen });
    }, GRACE);
    this.#leaving.set(id, timer);
  }

  #tell(rooms, id, status) {
    let others = this.#chat.except(`user:${id}`);
    if (this.#online.size > EVERYONE_UP_TO) {
      if (rooms.size === 0) return;
      others = others.to([...rooms].flatMap((room) => [`room:${room}:batched`, `room:${room}:acknowledged`]));
    }
    others.emit("onlineStatus", status);
  }
}

// The rooms in memory: who is in them, how far each member has got, and the order of what is sent to them.

const PAGE = 500;
const RECEIPTS_TICK = 50;
const ACK_TIMEOUT = 60_000;

class Room {
  constructor({ id, kind, lastSeq, members }) {
    this.id = id;
    this.kind = kind;
    this.lastSeq = lastSeq;
    // username by user id, and delivered seq by user id.
    this.members = new Map(members.map((member) => [member.user_id, member.username]));
    this.delivered = new Map(members.map((member) => [member.user_id, Number(member.delivered_seq)]));
    // Messages whose sender was not told yet that they reached everyone, by seq.
    this.untold = [];
    this.changed = new Set();
    // The end of the chain of stores: one at a time per room, so that seqs have no gaps.
    this.tail = Promise.resolve();
    this.batched = `room:${id}:batched`;
    this.acknowledged = `room:${id}:acknowledged`;
  }

  /** What a message's `receiver` is. */
  receiver(sender) {
    if (this.kind === "group") return this.id;
    for (const [id, username] of this.members) if (id !== sender) return username;
    return this.members.get(sender);
  }
}

export class Rooms {
  #database;
  #chat;
  #rooms = new Map();
  #touched = new Set();
  #timer = null;
  #saving = Promise.resolve();

  constructor(database, chat) {
    this.#database = database;
    this.#chat = chat;
  }

  /** The room, read at first use; one read however many ask. */
  get(id) {
    let room = this.#rooms.get(id);
    if (!room) {
      room = (async () => {
        const found = await this.#database.room(id);
        const ready = found && new Room(found);
        this.#rooms.set(id, ready);
        return ready;
      })();
      this.#rooms.set(id, room);
    }
    return room;
  }

  /** Sends a socket what it has missed and lets it hear what comes. */
  async enter(socket, id, since, catchUp, delivered) {
    const room = await this.get(id);
    const { user, batched } = socket.data;
    if (since !== undefined) this.arrived(room, user.id, since);
    let sent = catchUp ? (since ?? delivered) : room.lastSeq;
    while (sent < room.lastSeq) {
      const page = await this.#database.after(id, sent, PAGE);
      if (page.length === 0) break;
      for (const row of page) {
        const response = view(room, row);
        if (batched) socket.emit("response", { response });
        else
          socket.timeout(ACK_TIMEOUT).emit("response", { response }, (error, answer) => {
            if (!error && answer?.success !== false) this.arrived(room, user.id, response.seq);
          });
      }
      sent = Number(page.at(-1).seq);
    }
    // No await since the comparison: nothing can have come in between.
    socket.join(batched ? room.batched : room.acknowledged);
  }

  /** Stores a message and sends it to everyone; resolves when it is stored. */
  send(room, message) {
    const stored = room.tail.then(() => this.#store(room, message));
    room.tail = stored.catch(() => {});
    return stored;
  }

  async #store(room, { sender, content, clientMessageId }) {
    if (clientMessageId) {
      const repeated = await this.#database.repeated(room.id, sender.id, clientMessageId);
      if (repeated) return view(room, repeated);
    }
    const row = {
      room_id: room.id,
      seq: room.lastSeq + 1,
      id: crypto.randomUUID(),
      sender_id: sender.id,
      content,
      client_message_id: clientMessageId ?? null,
      created_at: new Date().toISOString(),
    };
    await this.#database.insert(row);
    room.lastSeq = row.seq;
    const response = view(room, row);
    room.untold.push({ sender: sender.id, response });
    this.#emit(room, response);
    return response;
  }

  #emit(room, response) {
    const { rooms } = this.#chat.adapter;
    if (rooms.has(room.batched)) this.#chat.to(room.batched).emit("response", { response });
    if (!rooms.has(room.acknowledged)) return;
    this.#chat
      .to(room.acknowledged)
      .timeout(ACK_TIMEOUT)
      .emit("response", { response }, (error, answers) => {
        for (const answer of answers ?? error?.responses ?? []) {
          const user = answer?.success && this.#memberNamed(room, answer.receiver);
          if (user) this.arrived(room, user, response.seq);
        }
      });
  }

  #memberNamed(room, username) {
    room.byName ??= new Map([...room.members].map(([id, name]) => [name, id]));
    return room.byName.get(username);
  }

  /** Everything up to `seq` has reached a member. */
  arrived(room, user, seq) {
    const before = room.delivered.get(user);
    if (before === undefined || seq <= before || seq > room.lastSeq) return before;
    room.delivered.set(user, seq);
    room.changed.add(user);
    this.#touched.add(room);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.saveReceipts().catch((error) => console.error(error));
    }, RECEIPTS_TICK);
    return seq;
  }

  /** Stores what has changed and then tells the senders of what has reached everyone. */
  saveReceipts() {
    this.#saving = this.#saving.then(async () => {
      const touched = [...this.#touched];
      this.#touched.clear();
      const changes = [];
      const floors = touched.map((room) => {
        for (const user of room.changed) changes.push([room.id, user, room.delivered.get(user)]);
        room.changed.clear();
        return lowest(room);
      });
      if (changes.length > 0) await this.#database.saveReceipts(changes);
      touched.forEach((room, at) => this.#tell(room, floors[at]));
    });
    return this.#saving;
  }

  #tell(room, { user, first, second }) {
    let told = 0;
    for (const { sender, response } of room.untold) {
      if (response.seq > (sender === user ? second : first)) break;
      const delivered = { response: { ...response, deliveredToAll: true } };
      this.#chat.to(`user:${sender}`).emit("updateDeliveryStatusOnConnection", delivered);
      told += 1;
    }
    room.untold.splice(0, told);
  }
}

/** How far everyone has got: the member who is furthest behind, and how far everyone else has got at least. */
function lowest(room) {
  let user = null;
  let first = Infinity;
  let second = Infinity;
  for (const [id, seq] of room.delivered) {
    if (seq < first) [user, first, second] = [id, seq, first];
    else if (seq < second) second = seq;
  }
  return { user, first, second };
}

export function view(room, row) {
  return {
    messageId: row.id,
    roomId: room.id,
    seq: Number(row.seq),
    sender: room.members.get(row.sender_id),
    receiver: room.receiver(row.sender_id),
    group: room.kind === "group",
    content: row.content,
    kind: "text",
    timestamp: row.created_at,
    deliveredToAll: false,
    readByAll: false,
  };
}

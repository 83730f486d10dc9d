// The rooms in memory: who is in them, how far each member has got, and the order of what is sent to them.

const PAGE = 500;
const RECEIPTS_TICK = 50;
const ACK_TIMEOUT = 60_000;

class Room {
  constructor({ id, kind, lastSeq, lastChange, members }) {
    this.id = id;
    this.kind = kind;
    this.lastSeq = lastSeq;
    this.lastChange = lastChange;
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
  async enter(socket, id, { since, changes, catchUp }, delivered) {
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
    let told = changes ?? room.lastChange;
    while (told < room.lastChange) {
      const page = await this.#database.changesAfter(id, told, PAGE);
      if (page.length === 0) break;
      for (const row of page) socket.emit("messageChanged", changed(room, user.id, row, ["caught-up"]));
      told = page.at(-1).change;
    }
    // No await since the comparisons: nothing can have come in between, but for messages while changes were read.
    if (sent < room.lastSeq) return this.enter(socket, id, { since: sent, changes: told, catchUp: true }, delivered);
    socket.join(batched ? room.batched : room.acknowledged);
    if (changes !== undefined) socket.emit("synced", { rooms: { [id]: { seq: sent, change: told } } });
  }

  /** Stores a reaction and tells everyone; resolves when it is stored. */
  react(room, reaction) {
    return inTurn(room, () => this.#react(room, reaction));
  }

  async #react(room, { message, user, key, on }) {
    const number = room.lastChange + 1;
    const row = { room_id: room.id, seq: message.seq, key, user_id: user.id };
    const reactions = await this.#database.react(row, on, number, (before) => counted(before, key, user.username, on));
    if (!reactions) return;
    room.lastChange = number;
    const change = { seq: message.seq, id: message.id, change: number, reactions };
    const told = { ...changed(room, user.id, change, ["reactions"]), by: user.username };
    told.reacted = [{ username: user.username, key, on }];
    this.#chat.to(room.batched).to(room.acknowledged).emit("messageChanged", told);
  }

  /** Stores a message and sends it to everyone; resolves when it is stored. */
  send(room, message) {
    return inTurn(room, () => this.#store(room, message));
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

/** Stores something after everything before it in the room; resolves when it is stored. */
function inTurn(room, store) {
  const stored = room.tail.then(store);
  room.tail = stored.catch(() => {});
  return stored;
}

/** The first of those who have reacted are named. */
const NAMED = 20;

function counted(before, key, username, on) {
  const reactions = before.filter((each) => each.key !== key || each.count + (on ? 1 : -1) > 0);
  const mine = reactions.find((each) => each.key === key);
  if (!mine) return on ? [...reactions, { key, count: 1, users: [username] }] : reactions;
  mine.count += on ? 1 : -1;
  if (!on) mine.users = mine.users.filter((each) => each !== username);
  else if (mine.users.length < NAMED) mine.users.push(username);
  return reactions;
}

function changed(room, user, { id, seq, change, reactions }, what) {
  return {
    roomId: room.id,
    receiver: room.receiver(user),
    group: room.kind === "group",
    messageId: id,
    seq,
    change,
    at: new Date().toISOString(),
    what,
    set: { reactions: typeof reactions === "string" ? JSON.parse(reactions) : reactions },
  };
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

// The tables on SQLite and the questions to them, for any synchronous driver: better-sqlite3 here, bun:sqlite in
// ../bun-peer. Durable at each commit, every statement prepared once.

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, username TEXT NOT NULL UNIQUE) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS rooms (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, pair_low TEXT, pair_high TEXT, UNIQUE (pair_low, pair_high)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS members (
    room_id TEXT NOT NULL REFERENCES rooms (id), user_id TEXT NOT NULL REFERENCES users (id),
    delivered_seq INTEGER NOT NULL, PRIMARY KEY (room_id, user_id)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS members_user ON members (user_id);
  CREATE TABLE IF NOT EXISTS messages (
    room_id TEXT NOT NULL REFERENCES rooms (id), seq INTEGER NOT NULL, id TEXT NOT NULL,
    sender_id TEXT NOT NULL REFERENCES users (id), content TEXT NOT NULL, client_message_id TEXT,
    created_at TEXT NOT NULL, PRIMARY KEY (room_id, seq)
  ) WITHOUT ROWID;
  CREATE UNIQUE INDEX IF NOT EXISTS messages_client_id ON messages (room_id, sender_id, client_message_id)
    WHERE client_message_id IS NOT NULL;
  CREATE TABLE IF NOT EXISTS changes (
    room_id TEXT NOT NULL, change INTEGER NOT NULL, seq INTEGER NOT NULL, reactions TEXT NOT NULL,
    PRIMARY KEY (room_id, seq)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS changes_number ON changes (room_id, change);
  CREATE TABLE IF NOT EXISTS reactions (
    room_id TEXT NOT NULL, seq INTEGER NOT NULL, key TEXT NOT NULL, user_id TEXT NOT NULL,
    PRIMARY KEY (room_id, seq, key, user_id)
  ) WITHOUT ROWID;
  CREATE UNIQUE INDEX IF NOT EXISTS messages_id ON messages (id);
`;

/** `pluck` prepares a statement whose `get` returns the first column alone, or undefined. */
export function questions(db, pluck) {
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
  db.exec(SCHEMA);

  const user = db.prepare("SELECT id, username FROM users WHERE id = ?");
  const roomsOf = db.prepare("SELECT room_id, delivered_seq FROM members WHERE user_id = ?");
  const room = db.prepare("SELECT id, kind FROM rooms WHERE id = ?");
  const lastSeq = pluck("SELECT coalesce(max(seq), 0) FROM messages WHERE room_id = ?");
  const members = db.prepare(
    "SELECT user_id, username, delivered_seq FROM members JOIN users ON users.id = user_id WHERE room_id = ?",
  );
  const direct = pluck(
    `SELECT rooms.id FROM users JOIN rooms ON pair_low = min(users.id, @mine) AND pair_high = max(users.id, @mine)
     WHERE username = @username`,
  );
  const insert = db.prepare(
    `INSERT INTO messages (room_id, seq, id, sender_id, content, client_message_id, created_at)
     VALUES (@room_id, @seq, @id, @sender_id, @content, @client_message_id, @created_at)`,
  );
  const repeated = db.prepare(
    "SELECT * FROM messages WHERE room_id = ? AND sender_id = ? AND client_message_id = ?",
  );
  const after = db.prepare("SELECT * FROM messages WHERE room_id = ? AND seq > ? ORDER BY seq LIMIT ?");
  const before = db.prepare("SELECT * FROM messages WHERE room_id = ? AND seq < ? ORDER BY seq DESC LIMIT ?");
  const byId = db.prepare("SELECT room_id, seq FROM messages WHERE id = ?");
  const lastChange = pluck("SELECT coalesce(max(change), 0) FROM changes WHERE room_id = ?");
  const changesAfter = db.prepare(
    `SELECT changes.*, id FROM changes JOIN messages USING (room_id, seq)
     WHERE room_id = ? AND change > ? ORDER BY change LIMIT ?`,
  );
  const reactionsOf = pluck("SELECT reactions FROM changes WHERE room_id = ? AND seq = ?");
  const reacted = db.prepare(
    "INSERT INTO reactions (room_id, seq, key, user_id) VALUES (@room_id, @seq, @key, @user_id) ON CONFLICT DO NOTHING",
  );
  const withdrawn = db.prepare(
    "DELETE FROM reactions WHERE room_id = @room_id AND seq = @seq AND key = @key AND user_id = @user_id",
  );
  const change = db.prepare(
    "INSERT OR REPLACE INTO changes (room_id, change, seq, reactions) VALUES (@room_id, @change, @seq, @reactions)",
  );
  const receipt = db.prepare("UPDATE members SET delivered_seq = ? WHERE room_id = ? AND user_id = ?");
  const statements = {
    users: db.prepare("INSERT INTO users (id, username) VALUES (@id, @username)"),
    rooms: db.prepare("INSERT INTO rooms (id, kind, pair_low, pair_high) VALUES (@id, @kind, @low, @high)"),
    members: db.prepare("INSERT INTO members (room_id, user_id, delivered_seq) VALUES (@room, @user, @delivered)"),
  };

  return {
    user: (id) => user.get(id),
    roomsOf: (id) => roomsOf.all(id),
    room: (id) => {
      const found = room.get(id);
      return found && { ...found, lastSeq: lastSeq.get(id), lastChange: lastChange.get(id), members: members.all(id) };
    },
    directRoom: (mine, username) => direct.get({ mine, username }),
    insert: (message) => insert.run(message),
    repeated: (...key) => repeated.get(...key),
    after: (...page) => after.all(...page),
    before: (...page) => before.all(...page),
    byId: (id) => byId.get(id),
    changesAfter: (...page) => changesAfter.all(...page),
    /** Stores a reaction, or withdraws it; `count` makes the message's new reactions of the old ones. */
    react: db.transaction((reaction, on, number, count) => {
      if ((on ? reacted : withdrawn).run(reaction).changes === 0) return undefined;
      const { room_id, seq } = reaction;
      const reactions = count(JSON.parse(reactionsOf.get(room_id, seq) ?? "[]"));
      change.run({ room_id, seq, change: number, reactions: JSON.stringify(reactions) });
      return reactions;
    }),
    saveReceipts: db.transaction((changes) => {
      for (const [room, user, seq] of changes) receipt.run(seq, room, user);
    }),
    seed: db.transaction(({ messages, ...tables }) => {
      for (const [table, rows] of Object.entries(tables)) for (const row of rows) statements[table].run(row);
      for (const row of messages) insert.run(row);
    }),
    close: () => db.close(),
  };
}

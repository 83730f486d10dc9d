// node-postgres: a pool, every statement prepared once per connection.
import pg from "pg";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS users (id uuid PRIMARY KEY, username text NOT NULL UNIQUE);
  CREATE TABLE IF NOT EXISTS rooms (
    id uuid PRIMARY KEY, kind text NOT NULL, pair_low uuid, pair_high uuid, UNIQUE (pair_low, pair_high)
  );
  CREATE TABLE IF NOT EXISTS members (
    room_id uuid NOT NULL REFERENCES rooms (id), user_id uuid NOT NULL REFERENCES users (id),
    delivered_seq bigint NOT NULL, PRIMARY KEY (room_id, user_id)
  );
  CREATE INDEX IF NOT EXISTS members_user ON members (user_id);
  CREATE TABLE IF NOT EXISTS messages (
    room_id uuid NOT NULL REFERENCES rooms (id), seq bigint NOT NULL, id uuid NOT NULL,
    sender_id uuid NOT NULL REFERENCES users (id), content text NOT NULL, client_message_id text,
    created_at text NOT NULL, PRIMARY KEY (room_id, seq)
  );
  CREATE UNIQUE INDEX IF NOT EXISTS messages_client_id ON messages (room_id, sender_id, client_message_id)
    WHERE client_message_id IS NOT NULL;
`;

const MESSAGE = ["room_id", "seq", "id", "sender_id", "content", "client_message_id", "created_at"];
const COLUMNS = MESSAGE.join(", ");

export async function open(connectionString) {
  // As many connections as Parlor's default; they stay, so that their processes can be counted.
  const pool = new pg.Pool({ connectionString, max: 16, idleTimeoutMillis: 0 });
  await pool.query(SCHEMA);
  const rows = async (name, text, values) => (await pool.query({ name, text, values })).rows;
  const one = async (...query) => (await rows(...query))[0];

  async function copy(table, columns, entries) {
    const types = { delivered_seq: "bigint", seq: "bigint" };
    for (let at = 0; at < entries.length; at += 5_000) {
      const part = entries.slice(at, at + 5_000);
      const arrays = columns.map((column) => part.map((entry) => entry[column]));
      const lists = columns.map((column, i) => `$${i + 1}::${types[column] ?? typeOf(column)}[]`);
      await pool.query(`INSERT INTO ${table} (${columns}) SELECT * FROM unnest(${lists})`, arrays);
    }
  }

  return {
    user: (id) => one("user", "SELECT id, username FROM users WHERE id = $1", [id]),
    roomsOf: (id) => rows("rooms_of", "SELECT room_id, delivered_seq FROM members WHERE user_id = $1", [id]),
    room: async (id) => {
      const found = await one(
        "room",
        `SELECT id, kind, (SELECT coalesce(max(seq), 0) FROM messages WHERE room_id = rooms.id) AS last_seq
         FROM rooms WHERE id = $1`,
        [id],
      );
      const members = await rows(
        "members",
        `SELECT user_id, username, delivered_seq FROM members JOIN users ON users.id = user_id WHERE room_id = $1`,
        [id],
      );
      return found && { id, kind: found.kind, lastSeq: Number(found.last_seq), members };
    },
    directRoom: async (mine, username) => {
      const found = await one(
        "direct_room",
        `SELECT rooms.id FROM users JOIN rooms
           ON pair_low = least(users.id, $1::uuid) AND pair_high = greatest(users.id, $1::uuid)
         WHERE username = $2`,
        [mine, username],
      );
      return found?.id;
    },
    insert: (message) =>
      rows(
        "insert",
        `INSERT INTO messages (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
        MESSAGE.map((column) => message[column]),
      ),
    repeated: (...key) =>
      one(
        "repeated",
        `SELECT ${COLUMNS} FROM messages WHERE room_id = $1 AND sender_id = $2 AND client_message_id = $3`,
        key,
      ),
    after: (...page) =>
      rows(
        "after",
        `SELECT ${COLUMNS} FROM messages WHERE room_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`,
        page,
      ),
    before: (...page) =>
      rows(
        "before",
        `SELECT ${COLUMNS} FROM messages WHERE room_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3`,
        page,
      ),
    saveReceipts: (changes) =>
      rows(
        "receipts",
        `UPDATE members SET delivered_seq = changed.seq
         FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS changed (room_id, user_id, seq)
         WHERE members.room_id = changed.room_id AND members.user_id = changed.user_id`,
        [0, 1, 2].map((column) => changes.map((change) => change[column])),
      ),
    seed: async ({ users, rooms: seeded, members, messages }) => {
      await copy("users", ["id", "username"], users);
      const pairs = seeded.map(({ low, high, ...room }) => ({ ...room, pair_low: low, pair_high: high }));
      await copy("rooms", ["id", "kind", "pair_low", "pair_high"], pairs);
      const joined = members.map(({ room, user, delivered }) => ({
        room_id: room,
        user_id: user,
        delivered_seq: delivered,
      }));
      await copy("members", ["room_id", "user_id", "delivered_seq"], joined);
      await copy("messages", MESSAGE, messages);
    },
    close: () => pool.end(),
  };
}

function typeOf(column) {
  return /^(id|.*_id|pair_.*)$/.test(column) && column !== "client_message_id" ? "uuid" : "text";
}

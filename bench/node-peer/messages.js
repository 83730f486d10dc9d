// The events of a client: privateMessage, groupMessage, delivered, react, history.
import { view } from "./rooms.js";

const CONTENT_BYTES = 16_384;

export function listen(socket, rooms, database) {
  const { user } = socket.data;
  socket.join(`user:${user.id}`);
  const direct = new Map();

  /** The room with another user, or none. */
  async function roomWith(username) {
    let id = direct.get(username);
    if (id === undefined) {
      id = await database.directRoom(user.id, username);
      if (id !== undefined) direct.set(username, id);
    }
    return id;
  }

  async function roomOf({ receiver, group }) {
    if (typeof receiver !== "string") throw refusal("bad_request", "receiver must be a string");
    const id = group ? receiver : await roomWith(receiver);
    if (id === undefined) throw refusal("not_found", "there is no such user");
    if (!socket.data.rooms.has(id)) throw refusal("not_a_member", "you are not in this room");
    return rooms.get(id);
  }

  async function send(payload, group) {
    const { content, clientMessageId } = payload;
    if (typeof content !== "string" || content.length === 0) throw refusal("bad_request", "content must be text");
    if (Buffer.byteLength(content) > CONTENT_BYTES) throw refusal("too_large", "content is too long");
    const room = await roomOf({ receiver: payload.receiver, group });
    return rooms.send(room, { sender: user, content, clientMessageId });
  }

  on(socket, "privateMessage", (payload) => send(payload, false));
  on(socket, "groupMessage", (payload) => send(payload, true));
  on(socket, "delivered", async ({ roomId, seq }) => {
    if (!socket.data.rooms.has(roomId)) throw refusal("not_found", "there is no such room");
    return { seq: rooms.arrived(await rooms.get(roomId), user.id, seq) };
  });
  on(socket, "react", async ({ messageId, key, on: isOn = true }) => {
    if (typeof key !== "string" || key.length === 0 || key.length > 64) throw refusal("bad_request", "no key");
    const found = await database.byId(messageId);
    if (!found) throw refusal("not_found", "there is no such message");
    if (!socket.data.rooms.has(found.room_id)) throw refusal("not_a_member", "you are not in this room");
    await rooms.react(await rooms.get(found.room_id), { message: { ...found, id: messageId }, user, key, on: isOn });
    return { messageId };
  });
  on(socket, "history", async ({ receiver, group, before, after, limit = 50 }) => {
    const room = await roomOf({ receiver, group });
    const wanted = Math.min(limit, 200);
    const rows =
      after === undefined
        ? await database.before(room.id, before ?? Number.MAX_SAFE_INTEGER, wanted + 1)
        : await database.after(room.id, after, wanted + 1);
    const hasMore = rows.length > wanted;
    if (hasMore) rows.pop();
    if (after === undefined) rows.reverse();
    return { messages: rows.map((row) => view(room, row)), hasMore };
  });
}

function refusal(code, message) {
  return Object.assign(new Error(message), { code });
}

/** Answers as the contract says: success or an error, where an answer was asked for. */
function on(socket, event, handle) {
  socket.on(event, async (payload, answer) => {
    try {
      const response = await handle(payload ?? {});
      if (typeof answer === "function") answer({ success: true, response });
    } catch (error) {
      if (!error.code) console.error(error);
      const { code = "internal", message } = error;
      if (typeof answer === "function") answer({ success: false, error: { code, message } });
    }
  });
}

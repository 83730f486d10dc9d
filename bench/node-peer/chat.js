// The namespace /chat: checks who connects, and sends what the connection has missed. Both peers use it.
import { Presence } from "./presence.js";
import { Rooms } from "./rooms.js";
import * as messages from "./messages.js";

/** `verify` returns a token's claims, or throws. Returns the rooms. */
export function serve(io, database, verify) {
  const chat = io.of("/chat");
  const rooms = new Rooms(database, chat);
  const presence = new Presence(chat);

  chat.use(async (socket, next) => {
    try {
      const { token } = socket.handshake.auth;
      const claims = verify(token);
      const user = await database.user(claims.uid);
      if (!user) throw new Error("no such user");
      socket.data = { user, batched: socket.handshake.auth.receipts === "batched", rooms: new Set() };
      next();
    } catch {
      next(new Error("token_invalid: the token is not valid"));
    }
  });

  chat.on("connection", async (socket) => {
    messages.listen(socket, rooms, database);
    socket.on("disconnect", () => presence.left(socket));
    const mine = await database.roomsOf(socket.data.user.id);
    // All memberships before the first await that follows, so that a send does not meet half of them.
    for (const { room_id: id } of mine) socket.data.rooms.add(id);
    presence.came(socket);
    const { since = {}, changes, catchUp = true } = socket.handshake.auth;
    for (const { room_id: id, delivered_seq: delivered } of mine) {
      // A room that `since` names and `changes` does not counts as 0; one that neither names begins now.
      const from = changes && (changes[id] ?? (since[id] === undefined ? undefined : 0));
      await rooms.enter(socket, id, { since: since[id], changes: from, catchUp }, Number(delivered));
    }
  });
  return rooms;
}

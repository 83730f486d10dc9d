// A chat server on socket.io, with Parlor's native wire contract as far as the benchmark uses it. Single process.
import { createServer } from "node:http";
import { createSecretKey } from "node:crypto";
import jsonwebtoken from "jsonwebtoken";
import { Server } from "socket.io";
import { connect as connectToDatabase } from "./database.js";
import { Presence } from "./presence.js";
import { Rooms } from "./rooms.js";
import * as messages from "./messages.js";

const secret = createSecretKey(Buffer.from(process.env.JWT_SECRET));
const database = await connectToDatabase(process.env.DATABASE_URL);
const http = createServer((request, response) => {
  response.writeHead(request.url === "/healthz" ? 200 : 404).end();
});
const io = new Server(http, { transports: ["websocket", "polling"], serveClient: false, maxHttpBufferSize: 1e6 });
// What socket.io's documentation recommends against memory: the first request is of no use any more.
io.engine.on("connection", (line) => {
  line.request = null;
});

const chat = io.of("/chat");
const rooms = new Rooms(database, chat);
const presence = new Presence(chat);

chat.use(async (socket, next) => {
  try {
    const { token } = socket.handshake.auth;
    const claims = jsonwebtoken.verify(token, secret, { algorithms: ["HS256"], issuer: "parlor" });
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

http.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${http.address().port}`);
});

process.on("SIGTERM", async () => {
  io.close();
  await rooms.saveReceipts();
  await database.close();
  process.exit(0);
});

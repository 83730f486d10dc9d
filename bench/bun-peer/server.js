// The chat server of ../node-peer on Bun's own HTTP server, WebSockets and SQLite. Single process.
import { createSecretKey } from "node:crypto";
import { Server as Engine } from "@socket.io/bun-engine";
import jsonwebtoken from "jsonwebtoken";
import { Server } from "socket.io";
import { serve } from "../node-peer/chat.js";
import { open } from "./sqlite.js";

const secret = createSecretKey(Buffer.from(process.env.JWT_SECRET));
const database = open(process.env.DATABASE_URL);
const engine = new Engine({ path: "/socket.io/", maxHttpBufferSize: 1e6 });
const io = new Server({ serveClient: false });
io.bind(engine);
// What socket.io's documentation recommends against memory: the first request is of no use any more.
engine.on("connection", (line) => {
  line.request = null;
});

const rooms = serve(io, database, (token) =>
  jsonwebtoken.verify(token, secret, { algorithms: ["HS256"], issuer: "parlor" }),
);

const { fetch, websocket, ...options } = engine.handler();
const server = Bun.serve({
  ...options,
  hostname: "127.0.0.1",
  port: Number(process.env.PORT ?? 0),
  fetch(request, self) {
    return request.url.endsWith("/healthz") ? new Response() : fetch(request, self);
  },
  websocket: {
    ...websocket,
    // A client that lets more than this wait is disconnected. It connects again and gets what it has missed. Otherwise
    // Bun would drop messages, and the client would never get them.
    backpressureLimit: 8 * 1024 * 1024,
    closeOnBackpressureLimit: true,
    // Engine.IO has pings of its own, and messages are too short to be worth compressing.
    sendPings: false,
    perMessageDeflate: false,
  },
});
console.log(`listening on http://127.0.0.1:${server.port}`);

process.on("SIGTERM", async () => {
  io.close();
  await rooms.saveReceipts();
  database.close();
  process.exit(0);
});

// A chat server on socket.io, with Parlor's native wire contract as far as the benchmark uses it. Single process.
import { createServer } from "node:http";
import { createSecretKey } from "node:crypto";
import jsonwebtoken from "jsonwebtoken";
import { Server } from "socket.io";
import { serve } from "./chat.js";
import { connect as connectToDatabase } from "./database.js";

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

const rooms = serve(io, database, (token) =>
  jsonwebtoken.verify(token, secret, { algorithms: ["HS256"], issuer: "parlor" }),
);

http.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${http.address().port}`);
});

process.on("SIGTERM", async () => {
  io.close();
  await rooms.saveReceipts();
  await database.close();
  process.exit(0);
});

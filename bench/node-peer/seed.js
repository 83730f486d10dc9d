// Puts the users, rooms, members and messages of a scene, JSON on standard input, into a fresh database.
import { text } from "node:stream/consumers";
import { connect } from "./database.js";

const database = await connect(process.env.DATABASE_URL);
await database.seed(JSON.parse(await text(process.stdin)));
await database.close();

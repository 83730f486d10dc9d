// Puts the users, rooms, members and messages of a scene, JSON on standard input, into a fresh database.
import { open } from "./sqlite.js";

const database = open(process.env.DATABASE_URL);
database.seed(await Bun.stdin.json());
database.close();

// bun:sqlite, which is synchronous.
import { Database } from "bun:sqlite";
import { questions } from "../node-peer/statements.js";

export function open(url) {
  // Strict: parameters are named without their prefix, and none may be missing.
  const db = new Database(url.replace("sqlite://", ""), { create: true, strict: true });
  // As much as better-sqlite3 is compiled with.
  db.exec("PRAGMA cache_size = -16000");
  return questions(db, (text) => {
    const statement = db.prepare(text);
    return { get: (...values) => statement.values(...values)[0]?.[0] };
  });
}

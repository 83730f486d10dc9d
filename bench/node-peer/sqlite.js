// better-sqlite3, which is synchronous.
import Database from "better-sqlite3";
import { questions } from "./statements.js";

export function open(url) {
  const db = new Database(url.replace("sqlite://", ""));
  return questions(db, (text) => db.prepare(text).pluck());
}

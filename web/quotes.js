// The messages that replies answer and that are not shown: the server is asked for many at once.

import { ask } from './connection.js';
import { current } from './heard.js';
import { meetUnknown } from './people.js';
import { changed, state } from './store.js';

/** How many messages one event may ask for. */
const MOST = 100;

/** Which messages are asked for, and for which conversation. @type {Map<string, string>} */
const wanted = new Map();
let isAsking = false;

/** A message by its id; `null` if it cannot be had, `undefined` if that is not known yet. @param {string} id @param {string} key */
export function quoted(id, key) {
  if (!state.quotes.has(id)) {
    wanted.set(id, key);
    void fetchQuotes();
  }
  return state.quotes.get(id);
}

/** Without a connection, the next one asks again. */
export async function fetchQuotes() {
  if (isAsking) return;
  isAsking = true;
  try {
    while (wanted.size > 0 && state.status === 'online') {
      const part = [...wanted].slice(0, MOST);
      const messages = await current(() => ask('getMessages', { messageIds: part.map(([id]) => id) }));
      // An answer may end early: it has a size.
      const answered = messages.length === 0 ? part : part.slice(0, part.findIndex(([id]) => id === messages.at(-1)?.messageId) + 1);
      for (const [id] of answered) state.quotes.set(id, messages.find(({ messageId }) => messageId === id) ?? null);
      meetUnknown(messages.map(({ sender }) => sender));
      for (const [id, key] of answered) {
        wanted.delete(id);
        changed(`timeline ${key}`);
      }
    }
  } catch {
    // The connection has ended.
  } finally {
    isAsking = false;
  }
}

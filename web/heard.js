// Reads messages, from the disk or from the server. A page may be older than a change that came while it was read: each
// reading ends with such changes.

import { ask } from './connection.js';
import { apply } from './database.js';

/** @import { Change, Message } from './types.js' */

/** What each reader has to look at. @type {Set<Change[]>} */
const readers = new Set();

/** A message was changed. @param {Change} change */
export function tellReaders(change) {
  for (const changes of readers) changes.push(change);
}

/**
 * Reads messages, and returns them with what was heard of them in the meantime.
 * @param {() => Promise<Message[]>} read @param {Change[]} [known] what was heard before, and is not on the disk yet
 */
export async function current(read, known = []) {
  const changes = [...known];
  readers.add(changes);
  try {
    const messages = await read();
    const byId = new Map(messages.map((message) => [message.messageId, message]));
    for (const change of changes) {
      const message = byId.get(change.messageId);
      if (message) apply(message, change);
    }
    return messages;
  } finally {
    readers.delete(changes);
  }
}

/**
 * A page of the messages of a conversation.
 * @param {object} query @returns {Promise<{ messages: Message[], hasMore: boolean, change?: number }>}
 */
export async function history(query) {
  const page = { messages: /** @type {Message[]} */ ([]), hasMore: false };
  await current(async () => Object.assign(page, await ask('history', query)).messages);
  return page;
}

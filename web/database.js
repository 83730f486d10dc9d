// What this device keeps of one user, in IndexedDB: conversations, their messages, what was not sent yet. Without
// IndexedDB everything works, but nothing outlives the page.

/** @import { Change, Message, Place, Unsent } from './types.js' */

/** Of one conversation at most so many messages are kept; older ones are on the server. */
const MOST = 3000;

/** @type {IDBDatabase | null} */
let db = null;

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** @param {string} userId */
const nameFor = (userId) => `parlor ${userId}`;

/** @param {string} userId */
export async function open(userId) {
  db?.close();
  db = null;
  try {
    const request = indexedDB.open(nameFor(userId), 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore('places', { keyPath: 'key' });
      request.result.createObjectStore('messages', { keyPath: ['key', 'message.seq'] });
      request.result.createObjectStore('unsent', { keyPath: 'id' });
    };
    db = await done(request);
    db.onversionchange = () => db?.close();
  } catch {
    db = null;
  }
}

/** Closes it and deletes it. @param {string} userId */
export async function erase(userId) {
  db?.close();
  db = null;
  try {
    await done(indexedDB.deleteDatabase(nameFor(userId)));
  } catch {
    // There was none.
  }
}

/**
 * Runs a transaction, and resolves when it is on the disk.
 * @param {string[]} stores @param {(transaction: IDBTransaction) => void | Promise<void>} work
 * @returns {Promise<boolean>}
 */
async function change(stores, work) {
  if (!db) return false;
  try {
    const transaction = db.transaction(stores, 'readwrite', { durability: 'strict' });
    const committed = new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(true);
      transaction.onabort = () => reject(transaction.error);
    });
    await work(transaction);
    await committed;
    return true;
  } catch {
    return false;
  }
}

/** @template T @param {string} store @param {IDBKeyRange} [range] @returns {Promise<T[]>} */
async function all(store, range) {
  if (!db) return [];
  try {
    return await done(db.transaction(store).objectStore(store).getAll(range));
  } catch {
    return [];
  }
}

/** @returns {Promise<Place[]>} */
export const places = () => all('places');

/** @returns {Promise<Unsent[]>} */
export const unsent = async () => {
  /** @type {Unsent[]} */
  const entries = await all('unsent');
  return entries.sort((a, b) => a.at - b.at || a.order - b.order);
};

/** @param {Unsent} entry */
export const keepUnsent = (entry) => change(['unsent'], (work) => void work.objectStore('unsent').put(entry));

/** @param {string} id */
export const dropUnsent = (id) => change(['unsent'], (work) => void work.objectStore('unsent').delete(id));

/** The messages with these seqs. @param {string} key @param {number} from @param {number} to */
export async function messages(key, from, to) {
  /** @type {{ message: Message }[]} */
  const found = await all('messages', IDBKeyRange.bound([key, from], [key, to]));
  return found.map(({ message }) => message);
}

/**
 * Keeps messages, where each conversation stands, and forgets what was sent, all at once: `last` is what the next
 * connection says this device has, so it must not be ahead of the messages.
 * @param {{ place: Place, messages: Message[], changes: Change[] }[]} batch with copies that nobody changes
 * @param {string[]} sent
 */
export const keep = (batch, sent) =>
  change(['places', 'messages', 'unsent'], async (work) => {
    const kept = work.objectStore('places');
    const held = work.objectStore('messages');
    for (const { place: now, messages, changes } of batch) {
      for (const message of messages) held.put({ key: now.key, message });
      for (const change of changes) {
        /** @type {{ key: string, message: Message } | undefined} */
        const row = await done(held.get([now.key, change.seq]));
        if (row && apply(row.message, change)) held.put(row);
      }
      /** @type {Place | undefined} */
      const before = await done(kept.get(now.key));
      // Another tab may be ahead. Where both know everything in between, both are right.
      if (before && before.last > 0 && before.first <= now.last + 1 && now.first <= before.last + 1) {
        now.first = now.first ? Math.min(before.first, now.first) : before.first;
        now.last = Math.max(before.last, now.last);
        now.change = Math.max(before.change ?? 0, now.change ?? 0);
      }
      if (now.last - now.first >= MOST) {
        now.first = now.last - MOST + 1;
        held.delete(IDBKeyRange.bound([now.key, 0], [now.key, now.first], false, true));
      }
      kept.put(now);
    }
    for (const id of sent) work.objectStore('unsent').delete(id);
  });

/** Changes a message, unless it shows that change already. @param {Message} message @param {Change} change */
export function apply(message, { change, set }) {
  const isNews = change > (message.change ?? 0);
  if (isNews) Object.assign(message, set, { change });
  return isNews;
}

/** @param {string} key */
export const dropMessages = (key) =>
  change(['messages'], (work) => void work.objectStore('messages').delete(IDBKeyRange.bound([key, 0], [key, Infinity])));

/** @param {string} key */
export const drop = (key) =>
  change(['places', 'messages'], (work) => {
    work.objectStore('places').delete(key);
    work.objectStore('messages').delete(IDBKeyRange.bound([key, 0], [key, Infinity]));
  });

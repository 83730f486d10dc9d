// What is done to messages after they were sent, with the stock client: the store of docs/events.md, as it is written
// there, stays in step with the server, however often its device goes and comes back.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { io } from 'socket.io-client';
import { LIMIT, Server, until } from './harness.mjs';

const server = await Server.start();
const document = await readFile(new URL('../../docs/events.md', import.meta.url), 'utf8');
const [, code] = /<!-- store -->\n```js\n([^`]*(?:`[^`]*`[^`]*)*?)```\n/.exec(document);

/** Runs the code of the document for a device, which may have a store from before. */
function device(person, kept = null) {
  const opened = [];
  const remembers = (...args) => opened[opened.push(io(...args)) - 1];
  const readsAgain = (roomId) => assert.fail(`${roomId} has to be read again`);
  const begins = kept ? code.replace('{ messages: {}, since: {}, changes: {} }', 'kept') : code;
  assert.ok(!kept || begins !== code, 'the store is the one from before');
  const run = new Function('io', 'url', 'token', 'readAgain', 'kept', `${begins}\nreturn { store, socket };`);
  const { store, socket } = run(remembers, server.url, person.token, readsAgain, kept);
  const synced = new Promise((resolve) => socket.once('synced', resolve));
  return { store, socket, synced };
}

/** What a store and the server say of the same messages. */
async function isInStep(person, store, roomId) {
  const { body } = await person.request('GET', `/api/rooms/${roomId}/messages?limit=200&changes=true`);
  const seen = ({ seq, content, editedAt, edits, change }) => ({ seq, content, editedAt, edits, change });
  assert.deepEqual(Object.values(store.messages[roomId] ?? {}).map(seen), body.messages.map(seen));
  assert.equal(store.changes[roomId], body.change);
}

test('the store of the document stays in step, live and after absences', { timeout: 4 * LIMIT }, async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  const messages = [];
  for (let number = 1; number <= 5; number++) messages.push(await phone.tells(bob, `message ${number}`));
  const { roomId } = messages[0];
  const edits = (message, content) => phone.does('editMessage', { messageId: message.messageId, content });

  let laptop = device(bob);
  await laptop.synced;
  await isInStep(bob, laptop.store, roomId);
  await edits(messages[1], 'edited live');
  await until('the edit', () => laptop.store.changes[roomId] === 1);
  await isInStep(bob, laptop.store, roomId);

  for (let absence = 1; absence <= 5; absence++) {
    laptop.socket.disconnect();
    const kept = JSON.parse(JSON.stringify(laptop.store));
    messages.push(await phone.tells(bob, `while away ${absence}`));
    for (const message of messages.slice(absence - 1)) await edits(message, `edited in absence ${absence}`);
    await edits(messages[absence], `and again in ${absence}`);
    laptop = device(bob, kept);
    await laptop.synced;
    await isInStep(bob, laptop.store, roomId);
  }
  laptop.socket.disconnect();
});

test('the same store reconnects by itself after its line breaks', { timeout: 2 * LIMIT }, async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  const message = await phone.tells(bob, 'helo');
  const laptop = device(bob);
  await laptop.synced;
  const again = new Promise((resolve) => laptop.socket.once('synced', resolve));
  laptop.socket.io.engine.close();
  await phone.does('editMessage', { messageId: message.messageId, content: 'hello' });
  await again;
  // The edit may also have come after the socket did.
  await until('the edit', () => laptop.store.changes[message.roomId] === 1);
  await isInStep(bob, laptop.store, message.roomId);
  laptop.socket.disconnect();
});

// The room of everyone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, assertMessage, seqsTo } from './harness.mjs';

const server = await Server.start();

async function everyone() {
  const people = await server.people('ada', 'bob', 'cyn');
  const tabs = await Promise.all(people.map((person) => person.connect()));
  return { people, tabs };
}

test('a lobby message reaches everyone who is online, the sender too, as a lobby event', async () => {
  const { people, tabs } = await everyone();
  const text = `hello from ${people[0].username}`;
  const message = await tabs[0].does('lobbyMessage', { content: text });
  assertMessage(message);
  assert.equal(message.sender, people[0].username);
  assert.equal(message.content, text);
  for (const tab of tabs) {
    const seen = await tab.sees('lobby', (e) => e.response.content === text);
    assert.deepEqual(Object.keys(seen), ['response']);
    assert.deepEqual(seen.response, message);
    assert.deepEqual(tab.seen('response'), [], 'it is no response event');
  }
});

test('it keeps no receipts: nobody is asked to acknowledge, and no delivery is reported', async () => {
  const { people, tabs } = await everyone();
  await tabs[0].does('lobbyMessage', { content: `no receipts, ${people[0].username}` });
  const entry = await tabs[1].seesEntry((e) => e.event === 'lobby');
  assert.equal(entry.ack, undefined);
  await tabs[0].seesNothing('updateDeliveryStatusOnConnection');
});

test('it is stored and paged like a room', async () => {
  const { people, tabs } = await everyone();
  const sent = [];
  for (let i = 1; i <= 5; i++) sent.push(await tabs[i % 3].does('lobbyMessage', { content: `${people[0].username} ${i}` }));
  const seqs = sent.map((message) => message.seq);
  assert.deepEqual(seqs, seqsTo(seqs[0] + 4, seqs[0]));
  const late = await (await server.person('dan')).connect();
  const page = await late.does('history', { lobby: true, limit: 3 });
  assert.deepEqual(page.messages.map((message) => message.seq), seqs.slice(2));
  assert.equal(page.hasMore, true);
  page.messages.forEach(assertMessage);
  const older = await late.does('history', { lobby: true, before: seqs[2], limit: 2 });
  assert.deepEqual(older.messages.map((message) => message.seq), seqs.slice(0, 2));
  const newer = await late.does('history', { lobby: true, after: seqs[3] });
  assert.deepEqual(newer, { messages: [sent[4]], hasMore: false });
});

test('nothing of it is replayed on connecting', async () => {
  const { people, tabs } = await everyone();
  await tabs[0].does('lobbyMessage', { content: `for those who are here, ${people[0].username}` });
  const late = await (await server.person('dan')).connect();
  await late.seesNothing('lobby');
  await late.seesNothing('response', 0);
});

test('the same clientMessageId is stored and emitted once', async () => {
  const { people, tabs } = await everyone();
  const clientMessageId = `lobby ${people[0].username}`;
  const first = await tabs[0].does('lobbyMessage', { content: 'once', clientMessageId });
  assert.equal(first.clientMessageId, clientMessageId);
  const second = await tabs[0].does('lobbyMessage', { content: 'twice', clientMessageId });
  assert.deepEqual(second, first);
  await tabs[1].sees('lobby', (e) => e.response.messageId === first.messageId);
  await tabs[1].seesNothing('lobby', 300, (e) => e.response.content === 'twice');
  assert.equal(tabs[1].seen('lobby', (e) => e.response.messageId === first.messageId).length, 1);
});

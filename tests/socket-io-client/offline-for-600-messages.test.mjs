// Somebody was away for 600 messages.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Server, seqsTo } from './harness.mjs';

const server = await Server.start({ settings: { LIMITS__EVENTS_PER_SECOND: 10_000, LIMITS__EVENTS_BURST: 10_000 } });
const UPDATE = 'updateDeliveryStatusOnConnection';
const COUNT = 600;
const PAGE = 500;
const LONG = 30_000;
let ada, bob, cyn;

/** Many messages, a hundred in flight at a time. */
async function tellsMany(count, tell) {
  for (let i = 1; i <= count; i += 100) await Promise.all(seqsTo(Math.min(count, i + 99), i).map((n) => tell(`message ${n}`)));
}

const seqs = (tab) => tab.messages().map((message) => message.seq);

before(async () => {
  [ada, bob, cyn] = await server.people('ada', 'bob', 'cyn');
  const sender = await ada.connect();
  for (const person of [bob, cyn]) await tellsMany(COUNT, (text) => sender.tells(person, text));
  await sender.seesMany('response', 2 * COUNT, () => true, LONG);
});

test('the first page is 500; the rest follows when it was acknowledged; all is in order', async () => {
  const laptop = cyn.dial({ acks: false });
  await laptop.seesMany('response', PAGE, () => true, LONG);
  await laptop.seesNothing('response', 1_500, (e) => e.response.seq > PAGE);
  assert.deepEqual(seqs(laptop), seqsTo(PAGE));
  laptop.messages().slice(0, -1).forEach((message) => laptop.acknowledges(message));
  await laptop.seesNothing('response', 500, (e) => e.response.seq > PAGE);
  laptop.acknowledges(laptop.messages().at(-1));
  await laptop.seesMany('response', COUNT);
  assert.deepEqual(seqs(laptop), seqsTo(COUNT));
  laptop.close();
});

test('without acknowledgements the next page follows after 5 s, and live messages wait behind it', async () => {
  const sender = await ada.connect();
  const dan = await server.person('dan');
  const group = await sender.does('createGroup', { groupName: `page ${ada.username}`, users: [dan.username] });
  await tellsMany(PAGE + 20, (text) => sender.tellsGroup(group, text));
  const laptop = dan.dial({ acks: false });
  await laptop.seesMany('response', PAGE, () => true, LONG);
  const before = Date.now();
  await sender.tellsGroup(group, 'live');
  await laptop.seesMessage('live');
  assert.ok(Date.now() - before > 3_000, 'it waited for its turn');
  assert.deepEqual(seqs(laptop), seqsTo(PAGE + 21));
});

test('who is removed between two pages gets no second one', async () => {
  const sender = await ada.connect();
  const eve = await server.person('eve');
  const group = await sender.does('createGroup', { groupName: `removed ${ada.username}`, users: [eve.username] });
  await tellsMany(PAGE + 50, (text) => sender.tellsGroup(group, text));
  const laptop = eve.dial({ acks: false });
  await laptop.seesMany('response', PAGE, () => true, LONG);
  await sender.does('removeMember', { groupId: group.groupId, username: eve.username });
  laptop.messages().forEach((message) => laptop.acknowledges(message));
  await laptop.seesNothing('response', 6_000, (e) => e.response.seq > PAGE);
});

test('a stock client gets all 600, once and in order, and the sender 600 delivery updates, once', async () => {
  const phone = await ada.connect();
  const laptop = bob.dial();
  await laptop.seesMany('response', COUNT, () => true, LONG);
  await laptop.seesNothing('response', 500, () => laptop.messages().length > COUNT);
  assert.deepEqual(seqs(laptop), seqsTo(COUNT));
  assert.deepEqual(laptop.messages().map((message) => message.content), seqsTo(COUNT).map((i) => `message ${i}`));

  const toBob = (e) => e.response.receiver === bob.username;
  const updates = await phone.seesMany(UPDATE, COUNT, toBob, LONG);
  await phone.seesNothing(UPDATE, 500, () => phone.seen(UPDATE, toBob).length > COUNT);
  assert.deepEqual(updates.map((update) => update.response.seq).sort((a, b) => a - b), seqsTo(COUNT));
  assert.ok(updates.every((update) => update.response.deliveredToAll));
});

test('connecting once more brings nothing and tells the sender nothing', async () => {
  const toBob = (e) => e.response.receiver === bob.username;
  const [again, sender] = [await bob.connect(), await ada.connect()];
  await again.seesNothing('response', 500);
  await sender.seesNothing(UPDATE, 0, toBob);
});

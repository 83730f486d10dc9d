// What was said before.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Server, assertMessage, seqsTo } from './harness.mjs';

const server = await Server.start({ settings: { LIMITS__EVENTS_PER_SECOND: 10_000, LIMITS__EVENTS_BURST: 10_000 } });
const COUNT = 250;
let ada, bob;

before(async () => {
  [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  for (const i of seqsTo(COUNT)) await phone.tells(bob, `message ${i}`);
});

/** Both sides see the same, over the socket and over HTTP. */
async function pages(range) {
  const [phone, laptop] = await Promise.all([ada.connect({ auth: { catchUp: false } }), bob.connect({ auth: { catchUp: false } })]);
  const mine = await phone.does('history', { receiver: bob.username, group: false, ...range });
  const theirs = await laptop.does('history', { receiver: ada.username, group: false, ...range });
  assert.deepEqual(theirs, mine);
  const [room] = await phone.does('listRooms', {});
  const http = await ada.request('GET', `/api/rooms/${room.roomId}/messages?${new URLSearchParams(range)}`);
  assert.equal(http.status, 200, http.text);
  assert.deepEqual(http.body, mine);
  assert.deepEqual(Object.keys(mine).sort(), ['hasMore', 'messages']);
  mine.messages.forEach(assertMessage);
  return { seqs: mine.messages.map((message) => message.seq), hasMore: mine.hasMore, messages: mine.messages };
}

test('without a range it is the newest page, oldest first, and there is more', async () => {
  const { seqs, hasMore } = await pages({});
  assert.ok(seqs.length > 0 && seqs.length <= 200, `${seqs.length} messages`);
  assert.deepEqual(seqs, seqsTo(COUNT, COUNT - seqs.length + 1));
  assert.equal(hasMore, true);
});

test('limit bounds the page', async () => {
  assert.deepEqual((await pages({ limit: 10 })).seqs, seqsTo(COUNT, COUNT - 9));
  assert.deepEqual((await pages({ limit: 1 })).seqs, [COUNT]);
  assert.deepEqual((await pages({ limit: 200 })).seqs, seqsTo(COUNT, COUNT - 199));
});

test('before gives the page that ends right before a seq', async () => {
  const page = await pages({ before: 101, limit: 20 });
  assert.deepEqual(page.seqs, seqsTo(100, 81));
  assert.equal(page.hasMore, true);
});

test('after gives the page that begins right after a seq', async () => {
  const page = await pages({ after: 100, limit: 20 });
  assert.deepEqual(page.seqs, seqsTo(120, 101));
  assert.equal(page.hasMore, true);
});

test('before and after together give what lies between', async () => {
  const page = await pages({ after: 100, before: 104 });
  assert.deepEqual(page.seqs, [101, 102, 103]);
  assert.equal(page.hasMore, false);
});

test('at either end there is no more', async () => {
  assert.deepEqual(await pages({ before: 4 }).then(({ seqs, hasMore }) => ({ seqs, hasMore })), { seqs: [1, 2, 3], hasMore: false });
  const last = await pages({ after: COUNT - 2 });
  assert.deepEqual([last.seqs, last.hasMore], [[COUNT - 1, COUNT], false]);
  const none = await pages({ after: COUNT });
  assert.deepEqual([none.seqs, none.hasMore], [[], false]);
});

test('a page that is exactly full at the end has no more behind it', async () => {
  assert.equal((await pages({ before: 11, limit: 10 })).hasMore, false);
  assert.equal((await pages({ after: COUNT - 10, limit: 10 })).hasMore, false);
});

test('paging back with before visits every message once', async () => {
  const phone = await ada.connect({ auth: { catchUp: false } });
  const seen = [];
  let page;
  do {
    const range = page ? { before: page.messages[0].seq } : {};
    page = await phone.does('history', { receiver: bob.username, group: false, limit: 60, ...range });
    seen.unshift(...page.messages);
  } while (page.hasMore);
  assert.deepEqual(seen.map((message) => message.content), seqsTo(COUNT).map((i) => `message ${i}`));
});

test('a page of more than 200 is not to be had', async () => {
  const phone = await ada.connect({ auth: { catchUp: false } });
  const answer = await phone.asks('history', { receiver: bob.username, group: false, limit: 1_000 });
  if (answer.success) assert.equal(answer.response.messages.length, 200);
  else assert.equal(answer.error.code, 'bad_request');
});

test('it is empty for two users who never wrote', async () => {
  const cyn = await server.person('cyn');
  const phone = await ada.connect({ auth: { catchUp: false } });
  const page = await phone.does('history', { receiver: cyn.username, group: false });
  assert.deepEqual(page, { messages: [], hasMore: false });
  assert.equal((await phone.does('listRooms', {})).length, 1, 'asking makes no room');
});

test('it is the history with oneself, not between two others', async () => {
  const eve = await server.person('eve');
  const theirs = await eve.connect();
  for (const other of [ada, bob]) {
    assert.deepEqual((await theirs.does('history', { receiver: other.username, group: false })).messages, []);
  }
});

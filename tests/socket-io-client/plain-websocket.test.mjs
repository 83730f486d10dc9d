// The native events on a plain WebSocket, as a page uses one: `new WebSocket(url)` and JSON.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Chat, Server, assertError, assertMessage, seqsTo, until } from './harness.mjs';

const server = await Server.start({
  settings: { LIMITS__EVENTS_PER_SECOND: '10000', LIMITS__EVENTS_BURST: '10000', LIMITS__WAITING_EVENTS: '10000' },
});

test('a page and a Socket.IO client chat, with receipts', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const page = await new Chat(ada).open();
  const phone = await bob.connect();

  const sent = await page.asks('privateMessage', { receiver: bob.username, content: 'hi' });
  assertMessage(sent);
  assert.equal((await phone.seesMessage('hi')).messageId, sent.messageId);
  await page.seesEvent('updateDeliveryStatusOnConnection', ({ response }) =>
    response.messageId === sent.messageId && response.deliveredToAll);

  const back = await phone.tells(ada, 'hi yourself');
  const { response } = await page.seesEvent('response', ({ response }) => response.content === 'hi yourself');
  assertMessage(response);
  assert.equal(response.messageId, back.messageId);
});

test('a reload gets what came meanwhile, and only that', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const before = await new Chat(ada).open();
  const phone = await bob.connect();
  const { roomId } = await phone.tells(ada, '1');
  await before.seesEvent('response', ({ response }) => response.content === '1');
  before.close();
  await before.isClosed();
  for (const content of ['2', '3']) await phone.tells(ada, content);

  const since = encodeURIComponent(JSON.stringify({ [roomId]: 1 }));
  const after = await new Chat(ada, `&since=${since}`).open();
  await until('the missed ones', () => after.seqs(roomId).length === 2);
  assert.deepEqual(after.seqs(roomId), seqsTo(3, 2));
});

test('500 messages without waiting arrive in order', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [from, to] = [await new Chat(ada).open(), await new Chat(bob).open()];
  const answers = await Promise.all(seqsTo(500).map((number) =>
    from.asks('privateMessage', { receiver: bob.username, content: String(number) })));
  const room = answers[0].roomId;
  await until('all of them', () => to.seqs(room).length === 500);
  assert.deepEqual(to.seqs(room), seqsTo(500));
  assert.deepEqual(answers.map(({ seq }) => seq), seqsTo(500));
});

test('a refusal is an answer, nonsense an error, and neither ends the socket', async () => {
  const [ada] = await server.people('ada');
  const page = await new Chat(ada).open();
  const answer = await page.emit('privateMessage', { receiver: 'nobody-at-all', content: 'x' });
  assert.equal(answer.success, false);
  assertError(answer.error);
  assert.equal(answer.error.code, 'not_found');
  page.send('nonsense');
  const error = await page.seesEvent('error');
  assertError(error);
  assert.equal(error.code, 'bad_request');
  assert.deepEqual(await page.asks('listRooms'), []);
});

test('logging out says so and closes cleanly', async () => {
  const [ada] = await server.people('ada');
  const page = await new Chat(ada).open();
  await ada.logsOut();
  await page.seesEvent('token-expired');
  assert.deepEqual(await page.isClosed(), { code: 4401, wasClean: true });
  await assert.rejects(new Chat(ada).open(), /401/);
});

test('a server that goes down closes cleanly, and the page goes on where it was', async (t) => {
  const own = await Server.start({ t });
  const [ada, bob] = await own.people('ada', 'bob');
  const [from, to] = [await new Chat(ada).open(), await new Chat(bob).open()];
  const { roomId } = await from.asks('privateMessage', { receiver: bob.username, content: '1' });
  await to.seesEvent('response');
  await own.restart();
  for (const page of [from, to]) assert.deepEqual(await page.isClosed(), { code: 1001, wasClean: true });
  const again = await new Chat(ada).open();
  await again.asks('privateMessage', { receiver: bob.username, content: '2' });
  const back = await new Chat(bob, `&since=${encodeURIComponent(JSON.stringify({ [roomId]: 1 }))}`).open();
  await back.seesEvent('response', ({ response }) => response.content === '2');
  assert.deepEqual(back.seqs(roomId), [2]);
});

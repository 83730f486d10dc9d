// A client that passes receipts: "batched" is not asked to acknowledge and reports with `delivered`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, seqsTo } from './harness.mjs';

const server = await Server.start();
const UPDATE = 'updateDeliveryStatusOnConnection';
const batched = { auth: { receipts: 'batched' } };

async function adaTellsBob(count) {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect(batched)]);
  const sent = [];
  for (let i = 1; i <= count; i++) sent.push(await phone.tells(bob, `message ${i}`));
  await laptop.seesMany('response', count);
  return { ada, bob, phone, laptop, sent, roomId: sent[0].roomId };
}

test('its response events ask for no acknowledgement, and count for nothing until reported', async () => {
  const { phone, laptop } = await adaTellsBob(2);
  const asked = laptop.log.filter((e) => e.event === 'response' && e.ack);
  assert.deepEqual(asked, []);
  await phone.seesNothing(UPDATE);
});

test('delivered { roomId, seq } reports everything up to seq', async () => {
  const { phone, laptop, sent, roomId } = await adaTellsBob(3);
  assert.deepEqual(await laptop.does('delivered', { roomId, seq: 2 }), { seq: 2 });
  const updates = await phone.seesMany(UPDATE, 2);
  assert.deepEqual(updates.map((u) => u.response.messageId).sort(), sent.slice(0, 2).map((m) => m.messageId).sort());
  await phone.seesNothing(UPDATE, 300, (u) => u.response.seq === 3);
  await laptop.does('delivered', { roomId, seq: 3 });
  await phone.sees(UPDATE, (u) => u.response.seq === 3);
});

test('delivered { rooms } reports several rooms at once', async () => {
  const { ada, bob, phone, laptop, roomId } = await adaTellsBob(2);
  const group = await phone.does('createGroup', { groupName: `batch ${ada.username}`, users: [bob.username] });
  await phone.tellsGroup(group, 'in the group');
  await laptop.seesMessage('in the group');
  const rooms = { [roomId]: 2, [group.groupId]: 1 };
  assert.deepEqual(await laptop.does('delivered', { rooms }), { rooms });
  await phone.seesMany(UPDATE, 3);
});

test('a receipt never moves back', async () => {
  const { laptop, roomId } = await adaTellsBob(3);
  assert.deepEqual(await laptop.does('delivered', { roomId, seq: 3 }), { seq: 3 });
  assert.deepEqual(await laptop.does('delivered', { roomId, seq: 1 }), { seq: 3 });
  assert.deepEqual(await laptop.does('delivered', { rooms: { [roomId]: 2 } }), { rooms: { [roomId]: 3 } });
});

test('what was reported is not sent again, what was not is', async () => {
  const { bob, laptop, roomId } = await adaTellsBob(4);
  await laptop.does('delivered', { roomId, seq: 2 });
  laptop.close();
  const again = await bob.connect(batched);
  await again.seesMany('response', 2);
  assert.deepEqual(again.messages(roomId).map((message) => message.seq), seqsTo(4, 3));
});

test('a client that acknowledges may report as well', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect({ acks: false })]);
  const message = await phone.tells(bob, 'hello');
  await laptop.seesMessage('hello');
  assert.deepEqual(await laptop.does('delivered', { roomId: message.roomId, seq: 1 }), { seq: 1 });
  await phone.sees(UPDATE, (u) => u.response.messageId === message.messageId);
});

test('a receipt cannot be forged: not beyond the last message, not for a room one is not in', async () => {
  const { bob, phone, laptop, roomId } = await adaTellsBob(1);
  const answer = await laptop.asks('delivered', { roomId, seq: 1_000_000 });
  if (answer.success) assert.ok(answer.response.seq <= 1, `the receipt is now at ${answer.response.seq}`);
  else assert.equal(answer.error.code, 'bad_request');
  const next = await phone.tells(bob, 'not seen yet');
  assert.equal(next.deliveredToAll, false);
  await phone.seesNothing(UPDATE, 500, (u) => u.response.messageId === next.messageId);

  const eve = await server.person('eve');
  const theirs = await eve.connect();
  await theirs.isRefused('delivered', { roomId, seq: 1 }, 'not_a_member', 'not_found');
  await theirs.isRefused('delivered', { rooms: { [roomId]: 1 } }, 'not_a_member', 'not_found');
});

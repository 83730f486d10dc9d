// The server is restarted; what was said stays said.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, assertMessage, seqsTo, until } from './harness.mjs';

const UPDATE = 'updateDeliveryStatusOnConnection';
const settings = { LIMITS__EVENTS_PER_SECOND: 10_000, LIMITS__EVENTS_BURST: 10_000 };

async function adaAndBobOn(server) {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect()]);
  return { ada, bob, phone, laptop };
}

test('history, groups, passwords, logins and seqs outlive a restart', async (t) => {
  const server = await Server.start({ t });
  const { ada, bob, phone, laptop } = await adaAndBobOn(server);
  const group = await phone.does('createGroup', { groupName: 'the lasting', users: [bob.username], password: 'open sesame' });
  const told = [await phone.tells(bob, 'one'), await laptop.tells(ada, 'two')];
  await phone.tellsGroup(group, 'in the group');
  await phone.sees(UPDATE, (update) => update.response.roomId === group.groupId);
  await server.restart();

  const again = await ada.connect();
  const { messages } = await again.does('history', { receiver: bob.username, group: false });
  messages.forEach(assertMessage);
  assert.deepEqual(messages.map((message) => message.messageId), told.map((message) => message.messageId));
  assert.equal((await again.tells(bob, 'three')).seq, 3);
  assert.equal((await again.tellsGroup(group, 'still here')).seq, 2);
  const cyn = await server.person('cyn');
  const tablet = await cyn.connect();
  await tablet.isRefused('joinGroup', { groupId: group.groupId }, 'wrong_password');
  await tablet.does('joinGroup', { groupId: group.groupId, password: 'open sesame' });
  await bob.logsIn();
});

test('a login that was ended before the restart stays ended', async (t) => {
  const server = await Server.start({ t });
  const ada = await server.person('ada');
  await ada.logsOut();
  await server.restart();
  assert.match(await server.refuses({ auth: { token: ada.token } }), /^token_revoked: /);
});

test('what was not acknowledged before the restart is sent after it, and nothing else', async (t) => {
  const server = await Server.start({ t });
  const { ada, bob, phone, laptop } = await adaAndBobOn(server);
  await phone.tells(bob, 'acknowledged');
  await phone.sees(UPDATE);
  laptop.close();
  for (const content of ['missed 1', 'missed 2']) await phone.tells(bob, content);
  await server.restart();

  const [again, sender] = await Promise.all([bob.connect(), ada.connect()]);
  await again.seesMany('response', 2);
  assert.deepEqual(again.messages().map((message) => message.content), ['missed 1', 'missed 2']);
  const updates = await sender.seesMany(UPDATE, 2);
  assert.deepEqual(updates.map((update) => update.response.content).sort(), ['missed 1', 'missed 2']);
});

test('a delivery is told once, not again after a restart', async (t) => {
  const server = await Server.start({ t });
  const { ada, bob, phone } = await adaAndBobOn(server);
  await phone.tells(bob, 'told already');
  await phone.sees(UPDATE);
  await server.restart();
  const [sender, receiver] = await Promise.all([ada.connect(), bob.connect()]);
  await receiver.seesNothing('response', 700);
  await sender.seesNothing(UPDATE, 0);
  await sender.tells(bob, 'new');
  await sender.sees(UPDATE, (update) => update.response.content === 'new');
  assert.equal(sender.seen(UPDATE).length, 1);
});

test('a receipt that a clean stop interrupts is not lost', async (t) => {
  const server = await Server.start({ t });
  const { bob, phone, laptop } = await adaAndBobOn(server);
  await phone.tells(bob, 'just before');
  await laptop.seesMessage('just before');
  await laptop.does('listRooms', {});
  await server.restart();
  const again = await bob.connect();
  await again.seesNothing('response', 500);
});

test('what was acknowledged to the sender survives a crash, with no gap and nothing twice', async (t) => {
  const server = await Server.start({ t, settings });
  const { ada, bob, phone } = await adaAndBobOn(server);
  const committed = [];
  for (let i = 1; i <= 200; i++) {
    phone.socket.emit('privateMessage', { receiver: bob.username, content: `message ${i}` }, (answer) => {
      if (answer.success) committed.push(answer.response);
    });
  }
  await phone.seesMany('response', 50);
  // A commit may hold more than that, and answers come behind all of its messages.
  await until('the first answers', () => committed.length > 0);
  await server.crash();
  await server.run();

  const again = await ada.connect({ auth: { catchUp: false } });
  const { messages } = await again.does('history', { receiver: bob.username, group: false, limit: 200 });
  assert.deepEqual(messages.map((message) => message.seq), seqsTo(messages.length));
  const stored = new Map(messages.map((message) => [message.messageId, message.content]));
  for (const message of committed) assert.equal(stored.get(message.messageId), message.content);
  assert.equal((await again.tells(bob, 'and on')).seq, messages.length + 1);
});

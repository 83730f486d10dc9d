// The sender learns that a message has arrived: once, when the last member got it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, assertMessage, until } from './harness.mjs';

const server = await Server.start();
const UPDATE = 'updateDeliveryStatusOnConnection';
const of = (message) => (update) => update.response.messageId === message.messageId;

test('after the receiver acknowledged, the sender is told with the whole message', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone] = await Promise.all([ada.connect(), bob.connect()]);
  const message = await phone.tells(bob, 'hello');
  assert.equal(message.deliveredToAll, false);
  const update = await phone.sees(UPDATE, of(message));
  assertMessage(update.response);
  assert.deepEqual(update.response, { ...message, deliveredToAll: true });
});

test('the update comes after the acknowledgement, every time', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone] = await Promise.all([ada.connect(), bob.connect()]);
  for (let i = 1; i <= 20; i++) {
    const message = await phone.tells(bob, `message ${i}`);
    await phone.sees(UPDATE, of(message));
    const order = phone.log.filter((e) => e.data?.response?.messageId === message.messageId).map((e) => e.event);
    assert.deepEqual(order, ['response', 'ack:privateMessage', UPDATE]);
  }
});

test('all tabs of the sender are told, the receiver is not, and nobody twice', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop, theirs] = await Promise.all([ada.connect(), ada.connect(), bob.connect()]);
  const message = await phone.tells(bob, 'hello');
  await Promise.all([phone, laptop].map((tab) => tab.sees(UPDATE, of(message))));
  await theirs.seesNothing(UPDATE);
  for (const tab of [phone, laptop]) assert.equal(tab.seen(UPDATE).length, 1);
});

test('as long as the receiver does not acknowledge, nothing is said', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect({ acks: false })]);
  const message = await phone.tells(bob, 'hello');
  const seen = await laptop.seesMessage('hello');
  await phone.seesNothing(UPDATE, 500);
  laptop.acknowledges(seen);
  await phone.sees(UPDATE, of(message));
});

test("one acknowledging tab of the receiver's is enough", async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone] = await Promise.all([ada.connect(), bob.connect({ acks: false }), bob.connect()]);
  const message = await phone.tells(bob, 'hello');
  await phone.sees(UPDATE, of(message));
});

test('in a group it takes the last member', async () => {
  const [ada, bob, cyn] = await server.people('ada', 'bob', 'cyn');
  const [phone, , theirs] = await Promise.all([ada.connect(), bob.connect(), cyn.connect({ acks: false })]);
  const group = await phone.does('createGroup', { groupName: `slow ${ada.username}`, users: [bob.username, cyn.username] });
  const message = await phone.tellsGroup(group, 'all here?');
  const seen = await theirs.seesMessage('all here?');
  await phone.seesNothing(UPDATE, 500);
  theirs.acknowledges(seen);
  const update = await phone.sees(UPDATE, of(message));
  assert.deepEqual(update.response, { ...message, deliveredToAll: true });
});

test('an acknowledgement beyond a hole waits for the hole', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect({ acks: false })]);
  const one = await phone.tells(bob, 'one');
  const two = await phone.tells(bob, 'two');
  laptop.acknowledges(await laptop.seesMessage('two'));
  await phone.seesNothing(UPDATE, 500);
  laptop.acknowledges(await laptop.seesMessage('one'));
  const updates = await phone.seesMany(UPDATE, 2);
  assert.deepEqual(updates.map((u) => u.response.messageId).sort(), [one.messageId, two.messageId].sort());
});

test('an offline receiver: the sender is told when the message is fetched, however much later', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  const message = await phone.tells(bob, 'for later');
  await phone.seesNothing(UPDATE);
  const laptop = await bob.connect();
  await laptop.seesMessage('for later');
  await phone.sees(UPDATE, of(message));
});

test('the history shows it too, also to a sender who was away', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  await phone.tells(bob, 'for later');
  phone.close();
  const laptop = await bob.connect();
  await laptop.seesMessage('for later');
  const again = await ada.connect();
  const delivered = async () => {
    const { messages } = await again.does('history', { receiver: bob.username, group: false });
    return messages[0].deliveredToAll;
  };
  await until('the history shows the delivery', delivered);
});

test('who left is not waited for', async () => {
  const [ada, bob, cyn] = await server.people('ada', 'bob', 'cyn');
  const [phone, laptop, theirs] = await Promise.all([ada.connect(), bob.connect(), cyn.connect({ acks: false })]);
  const group = await phone.does('createGroup', { groupName: `leaver ${ada.username}`, users: [bob.username, cyn.username] });
  const message = await phone.tellsGroup(group, 'all here?');
  await Promise.all([laptop.seesMessage('all here?'), theirs.seesMessage('all here?')]);
  await phone.seesNothing(UPDATE, 500);
  await theirs.does('leaveGroup', { groupId: group.groupId });
  await phone.sees(UPDATE, of(message));
});

test('who joined later is not waited for', async () => {
  const [ada, bob, cyn] = await server.people('ada', 'bob', 'cyn');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect({ acks: false })]);
  const group = await phone.does('createGroup', { groupName: `joiner ${ada.username}`, users: [bob.username] });
  const message = await phone.tellsGroup(group, 'all here?');
  const seen = await laptop.seesMessage('all here?');
  await phone.does('addMembers', { groupId: group.groupId, users: [cyn.username] });
  await phone.seesNothing(UPDATE);
  laptop.acknowledges(seen);
  await phone.sees(UPDATE, of(message));
});

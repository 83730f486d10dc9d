// Somebody is typing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server } from './harness.mjs';

const server = await Server.start();

test('the other one sees it begin and end', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect()]);
  await phone.tells(bob, 'hello');
  for (const typing of [true, false]) {
    const answer = await phone.asks('typing', { receiver: bob.username, group: false, typing });
    assert.equal(answer.success, true);
    const seen = await laptop.sees('typing', (e) => e.typing === typing);
    assert.deepEqual(seen, { sender: ada.username, receiver: bob.username, group: false, typing });
  }
  await phone.seesNothing('typing');
});

test('in a group the other members see it, and nobody else', async () => {
  const [ada, bob, cyn, dan] = await server.people('ada', 'bob', 'cyn', 'dan');
  const [phone, laptop, tablet, outside] = await Promise.all([ada, bob, cyn, dan].map((person) => person.connect()));
  const group = await phone.does('createGroup', { groupName: `typists ${ada.username}`, users: [bob.username, cyn.username] });
  phone.socket.emit('typing', { receiver: group.groupId, group: true, typing: true });
  const expected = { sender: ada.username, receiver: group.groupId, group: true, typing: true };
  assert.deepEqual(await laptop.sees('typing'), expected);
  assert.deepEqual(await tablet.sees('typing'), expected);
  await outside.seesNothing('typing');
});

test('a sender in the payload is ignored', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect()]);
  await phone.tells(bob, 'hello');
  phone.socket.emit('typing', { receiver: bob.username, group: false, typing: true, sender: bob.username });
  assert.equal((await laptop.sees('typing')).sender, ada.username);
});

test('it leaves nothing behind', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect()]);
  phone.socket.emit('typing', { receiver: bob.username, group: false, typing: true });
  assert.equal((await phone.tells(bob, 'typed')).seq, 1);
  await laptop.seesMessage('typed');
});

test('one cannot type in a group one is not in', async () => {
  const [ada, eve] = await server.people('ada', 'eve');
  const [phone, theirs] = await Promise.all([ada.connect(), eve.connect()]);
  const group = await phone.does('createGroup', { groupName: `quiet ${ada.username}` });
  theirs.socket.emit('typing', { receiver: group.groupId, group: true, typing: true });
  await phone.seesNothing('typing');
});

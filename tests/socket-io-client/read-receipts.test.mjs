// How far somebody has read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, until } from './harness.mjs';

const server = await Server.start();

async function adaTellsBob(count) {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect()]);
  let last;
  for (let i = 1; i <= count; i++) last = await phone.tells(bob, `message ${i}`);
  await laptop.seesMany('response', count);
  return { ada, bob, phone, laptop, roomId: last.roomId };
}

async function unread(tab, roomId) {
  return (await tab.does('listRooms', {})).find((room) => room.roomId === roomId).unread;
}

test('markRead answers { seq } and tells the other one with messageRead', async () => {
  const { ada, bob, phone, laptop, roomId } = await adaTellsBob(3);
  assert.deepEqual(await laptop.does('markRead', { receiver: ada.username, group: false, seq: 2 }), { seq: 2 });
  const read = await phone.sees('messageRead');
  assert.deepEqual(Object.keys(read).sort(), ['group', 'receiver', 'roomId', 'seq', 'username']);
  assert.equal(read.roomId, roomId);
  assert.equal(read.username, bob.username);
  assert.equal(read.group, false);
  assert.equal(read.seq, 2);
  assert.equal(typeof read.receiver, 'string');
});

test('the reader is not told of her own reading', async () => {
  const { ada, phone, laptop } = await adaTellsBob(1);
  await laptop.does('markRead', { receiver: ada.username, group: false, seq: 1 });
  await phone.sees('messageRead');
  await laptop.seesNothing('messageRead');
});

test('unread counts go down with it', async () => {
  const { ada, laptop, roomId } = await adaTellsBob(3);
  assert.equal(await unread(laptop, roomId), 3);
  await laptop.does('markRead', { receiver: ada.username, group: false, seq: 2 });
  assert.equal(await unread(laptop, roomId), 1);
  await laptop.does('markRead', { receiver: ada.username, group: false, seq: 3 });
  assert.equal(await unread(laptop, roomId), 0);
});

test('it never moves back', async () => {
  const { ada, laptop, roomId } = await adaTellsBob(3);
  await laptop.does('markRead', { receiver: ada.username, group: false, seq: 3 });
  assert.deepEqual(await laptop.does('markRead', { receiver: ada.username, group: false, seq: 1 }), { seq: 3 });
  assert.equal(await unread(laptop, roomId), 0);
});

test('in a group all other members are told, with the group as receiver', async () => {
  const [ada, bob, cyn, dan] = await server.people('ada', 'bob', 'cyn', 'dan');
  const [phone, laptop, tablet, outside] = await Promise.all([ada, bob, cyn, dan].map((person) => person.connect()));
  const group = await phone.does('createGroup', { groupName: `readers ${ada.username}`, users: [bob.username, cyn.username] });
  await phone.tellsGroup(group, 'read this');
  await laptop.seesMessage('read this');
  await laptop.does('markRead', { receiver: group.groupId, group: true, seq: 1 });
  const expected = { roomId: group.groupId, receiver: group.groupId, group: true, username: bob.username, seq: 1 };
  assert.deepEqual(await phone.sees('messageRead'), expected);
  assert.deepEqual(await tablet.sees('messageRead'), expected);
  await outside.seesNothing('messageRead');
});

test('when all have read, the history says readByAll', async () => {
  const { ada, bob, phone, laptop } = await adaTellsBob(2);
  const readByAll = async () => {
    const { messages } = await phone.does('history', { receiver: bob.username, group: false });
    return messages.map((message) => message.readByAll);
  };
  assert.equal((await readByAll())[1], false);
  await phone.does('markRead', { receiver: bob.username, group: false, seq: 2 });
  await laptop.does('markRead', { receiver: ada.username, group: false, seq: 2 });
  await until('all is read', async () => (await readByAll()).every(Boolean));
});

test('reading beyond the last message marks nothing that is still to come', async () => {
  const { ada, bob, phone, laptop, roomId } = await adaTellsBob(1);
  const answer = await laptop.asks('markRead', { receiver: ada.username, group: false, seq: 1_000_000 });
  if (answer.success) assert.ok(answer.response.seq <= 1, `read up to ${answer.response.seq}`);
  else assert.equal(answer.error.code, 'bad_request');
  await phone.tells(bob, 'new');
  await laptop.seesMessage('new');
  assert.ok((await unread(laptop, roomId)) >= 1);
});

test('one cannot read in a group one is not in', async () => {
  const [ada, eve] = await server.people('ada', 'eve');
  const [phone, theirs] = await Promise.all([ada.connect(), eve.connect()]);
  const group = await phone.does('createGroup', { groupName: `closed ${ada.username}` });
  await phone.tellsGroup(group, 'alone');
  await theirs.isRefused('markRead', { receiver: group.groupId, group: true, seq: 1 }, 'not_a_member');
  await phone.seesNothing('messageRead');
});

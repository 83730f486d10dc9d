// Who and what there is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, assertGroup, assertMessage, assertUser } from './harness.mjs';

const server = await Server.start();

test('listUsers gives every user, without email or anything secret', async () => {
  const ada = await server.person('ada', { firstName: 'Ada', lastName: 'Lovelace', email: 'ada@example.org', phone: '+44 1' });
  const bob = await server.person('bob');
  const laptop = await bob.connect();
  const users = await laptop.does('listUsers', {});
  assert.ok(Array.isArray(users));
  const seen = users.find(({ username }) => username === ada.username);
  assertUser(seen);
  assert.deepEqual([seen.id, seen.firstName, seen.lastName, seen.isOnline], [ada.id, 'Ada', 'Lovelace', false]);
  assert.doesNotMatch(JSON.stringify(seen), /example\.org|argon2|password/i);
});

test('the first name falls back to the username', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const laptop = await bob.connect();
  const users = await laptop.does('listUsers', {});
  assert.equal(users.find(({ username }) => username === ada.username).firstName, ada.username);
});

test('listUsers knows who is online', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [, laptop] = [await ada.connect(), await bob.connect()];
  const users = await laptop.does('listUsers', {});
  assert.equal(users.find(({ username }) => username === ada.username).isOnline, true);
});

test('listGroups gives all groups; members only where one belongs', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect()]);
  const open = await phone.does('createGroup', { groupName: `open ${ada.username}`, users: [bob.username] });
  const closed = await phone.does('createGroup', { groupName: `closed ${ada.username}`, password: 'open sesame' });
  await phone.tellsGroup(open, 'one');
  const groups = await laptop.does('listGroups', {});
  assert.ok(Array.isArray(groups));
  groups.forEach(assertGroup);
  const seen = (group) => groups.find(({ groupId }) => groupId === group.groupId);
  assert.equal(seen(open).hasPassword, false);
  assert.equal(seen(open).memberCount, 2);
  assert.equal(seen(open).lastSeq, 1);
  assert.equal(seen(closed).hasPassword, true);
  assert.equal(seen(closed).users, undefined);
  assert.doesNotMatch(JSON.stringify(groups), /sesame|argon2/i);
});

test('listRooms gives my conversations, most recent first, with what is unread', async () => {
  const [ada, bob, cyn] = await server.people('ada', 'bob', 'cyn');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect()]);
  const group = await phone.does('createGroup', { groupName: `rooms ${ada.username}`, users: [bob.username] });
  await phone.tellsGroup(group, 'first in the group');
  for (const content of ['one', 'two', 'three']) await phone.tells(bob, content);
  await laptop.seesMany('response', 4);
  await phone.seesMany('updateDeliveryStatusOnConnection', 4);

  const rooms = await laptop.does('listRooms', {});
  assert.equal(rooms.length, 2);
  const [direct, grouped] = rooms;
  assert.equal(direct.kind, 'direct');
  assertUser(direct.peer);
  assert.equal(direct.peer.username, ada.username);
  assert.equal(direct.group, undefined);
  assert.deepEqual([direct.lastSeq, direct.delivered, direct.read, direct.unread], [3, 3, 0, 3]);
  assertMessage(direct.lastMessage);
  assert.equal(direct.lastMessage.content, 'three');
  assert.equal(direct.lastMessage.roomId, direct.roomId);
  assert.equal(grouped.kind, 'group');
  assertGroup(grouped.group);
  assert.equal(grouped.roomId, group.groupId);
  assert.equal(grouped.peer, undefined);
  assert.deepEqual([grouped.lastSeq, grouped.delivered, grouped.read, grouped.unread], [1, 1, 0, 1]);

  await phone.tellsGroup(group, 'second in the group');
  const [latest] = await laptop.does('listRooms', {});
  assert.equal(latest.roomId, group.groupId);
  assert.deepEqual((await (await cyn.connect()).does('listRooms', {})), []);
});

test('GET /api/rooms/mine says the same as listRooms', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect()]);
  await phone.tells(bob, 'hello');
  await phone.sees('updateDeliveryStatusOnConnection');
  const { status, body } = await bob.request('GET', '/api/rooms/mine');
  assert.equal(status, 200);
  assert.deepEqual(body, await laptop.does('listRooms', {}));
});

test('a group without messages stands among the rooms as well', async () => {
  const ada = await server.person('ada');
  const phone = await ada.connect();
  const group = await phone.does('createGroup', { groupName: `silent ${ada.username}` });
  const [room] = await phone.does('listRooms', {});
  assert.deepEqual([room.roomId, room.lastSeq, room.unread], [group.groupId, 0, 0]);
  assert.equal(room.lastMessage, undefined);
});

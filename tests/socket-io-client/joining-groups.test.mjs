// Going into groups, and out of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, assertError, assertGroup } from './harness.mjs';

const server = await Server.start();

/** Ada has a group; Bob does not belong to it yet. */
async function adaHasAGroup(more = {}) {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect()]);
  const group = await phone.does('createGroup', { groupName: `group of ${ada.username}`, ...more });
  return { ada, bob, phone, laptop, group, groupId: group.groupId };
}

test('one joins by groupId and is in', async () => {
  const { bob, phone, laptop, group, groupId } = await adaHasAGroup();
  const joined = await laptop.does('joinGroup', { groupId });
  assertGroup(joined);
  assert.equal(joined.groupId, groupId);
  assert.equal(joined.memberCount, 2);
  assert.deepEqual(await phone.sees('memberJoined'), { groupId, username: bob.username });
  await phone.tellsGroup(group, 'welcome');
  await laptop.seesMessage('welcome');
  await laptop.tellsGroup(group, 'thanks');
  await phone.seesMessage('thanks');
});

test('one joins by groupName', async () => {
  const { laptop, group, groupId } = await adaHasAGroup();
  assert.equal((await laptop.does('joinGroup', { groupName: group.groupName })).groupId, groupId);
});

test('the right password lets one in, by id and by name', async () => {
  const { laptop, group, groupId } = await adaHasAGroup({ password: 'open sesame' });
  assert.equal(group.hasPassword, true);
  await laptop.does('joinGroup', { groupId, password: 'open sesame' });
  const cyn = await server.person('cyn');
  const tablet = await cyn.connect();
  const joined = await tablet.does('joinGroup', { groupName: group.groupName, password: 'open sesame' });
  assert.equal(joined.memberCount, 3);
});

test('a wrong or a missing password is wrong_password, and one stays outside', async () => {
  const { phone, laptop, group, groupId } = await adaHasAGroup({ password: 'open sesame' });
  const wrong = await laptop.isRefused('joinGroup', { groupId, password: 'open barley' }, 'wrong_password');
  assertError(wrong);
  await laptop.isRefused('joinGroup', { groupId }, 'wrong_password');
  await laptop.isRefused('joinGroup', { groupName: group.groupName, password: '' }, 'wrong_password');
  await phone.tellsGroup(group, 'nobody there');
  await phone.seesMessage('nobody there');
  await laptop.seesNothing('response');
  await phone.seesNothing('memberJoined', 0);
});

test('no password and no hash ever comes back', async () => {
  const { phone, laptop, groupId } = await adaHasAGroup({ password: 'open sesame' });
  await laptop.does('joinGroup', { groupId, password: 'open sesame' });
  await laptop.does('listGroups', {});
  await phone.does('updateGroup', { groupId, password: 'open barley' });
  for (const tab of [phone, laptop]) {
    assert.doesNotMatch(tab.received.join('\n'), /open sesame|open barley|argon2/i);
  }
});

test('who is in already may join again, and nothing changes', async () => {
  const { phone, laptop, groupId } = await adaHasAGroup({ password: 'open sesame' });
  await laptop.does('joinGroup', { groupId, password: 'open sesame' });
  await phone.sees('memberJoined');
  phone.forgets();
  const again = await laptop.does('joinGroup', { groupId, password: 'open sesame' });
  assert.equal(again.memberCount, 2);
  await phone.seesNothing('memberJoined');
});

test('a group that does not exist is not_found', async () => {
  const { laptop } = await adaHasAGroup();
  await laptop.isRefused('joinGroup', { groupId: '0190a000-0000-7000-8000-000000000000' }, 'not_found');
  await laptop.isRefused('joinGroup', { groupName: 'no group has this name' }, 'not_found');
});

test('the other tabs of one who joined are in as well, and so are later ones', async () => {
  const { bob, phone, laptop, group, groupId } = await adaHasAGroup();
  const second = await bob.connect();
  await laptop.does('joinGroup', { groupId });
  const third = await bob.connect();
  await phone.tellsGroup(group, 'to all tabs');
  await Promise.all([laptop, second, third].map((tab) => tab.seesMessage('to all tabs')));
});

test('a newcomer is not sent what was said before, but may read it', async () => {
  const { bob, laptop, phone, group, groupId } = await adaHasAGroup();
  await phone.tellsGroup(group, 'before');
  await laptop.does('joinGroup', { groupId });
  await phone.tellsGroup(group, 'after');
  await laptop.seesMessage('after');
  assert.deepEqual(laptop.messages(groupId).map((message) => message.content), ['after']);
  const { messages } = await laptop.does('history', { receiver: groupId, group: true });
  assert.deepEqual(messages.map((message) => message.content), ['before', 'after']);
  const second = await bob.connect();
  await second.seesNothing('response', 400, (e) => e.response.content === 'before');
});

test('for a newcomer nothing is unread', async () => {
  const { laptop, phone, group, groupId } = await adaHasAGroup();
  for (const content of ['one', 'two', 'three']) await phone.tellsGroup(group, content);
  await laptop.does('joinGroup', { groupId });
  const [room] = await laptop.does('listRooms', {});
  assert.deepEqual([room.roomId, room.lastSeq, room.delivered, room.read, room.unread], [groupId, 3, 3, 3, 0]);
});

test('who leaves is out: memberLeft, no more messages, and not_a_member', async () => {
  const { bob, phone, laptop, group, groupId } = await adaHasAGroup();
  const second = await bob.connect();
  await laptop.does('joinGroup', { groupId });
  assertGroup(await laptop.does('leaveGroup', { groupId }));
  assert.deepEqual(await phone.sees('memberLeft'), { groupId, username: bob.username });
  await phone.tellsGroup(group, 'he has gone');
  await phone.seesMessage('he has gone');
  await second.seesNothing('response');
  await laptop.seesNothing('response', 0);
  await laptop.isRefused('groupMessage', { receiver: groupId, content: 'hello?' }, 'not_a_member');
  await laptop.isRefused('history', { receiver: groupId, group: true }, 'not_a_member');
  assert.deepEqual(await laptop.does('listRooms', {}), []);
});

test('one cannot leave a group one is not in', async () => {
  const { laptop, groupId } = await adaHasAGroup();
  await laptop.isRefused('leaveGroup', { groupId }, 'not_a_member');
});

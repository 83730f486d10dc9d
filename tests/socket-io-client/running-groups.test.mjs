// What the owner of a group does with it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, assertGroup } from './harness.mjs';

const server = await Server.start();

/** Ada's group with Bob; Cyn is outside. */
async function adasGroup(more = {}) {
  const [ada, bob, cyn] = await server.people('ada', 'bob', 'cyn');
  const [phone, laptop, tablet] = await Promise.all([ada.connect(), bob.connect(), cyn.connect()]);
  const group = await phone.does('createGroup', { groupName: `group of ${ada.username}`, users: [bob.username], ...more });
  return { ada, bob, cyn, phone, laptop, tablet, group, groupId: group.groupId };
}

const changed = (groupId, change) => (e) => e.response.groupId === groupId && e.change === change;

test('updateGroup renames it, and everyone is told', async () => {
  const { ada, phone, laptop, tablet, groupId } = await adasGroup();
  const groupName = `new name of ${ada.username}`;
  const group = await phone.does('updateGroup', { groupId, groupName });
  assertGroup(group);
  assert.equal(group.groupName, groupName);
  for (const tab of [phone, laptop, tablet]) {
    const { response } = await tab.sees('roomsChanged', changed(groupId, 'updated'));
    assert.equal(response.groupName, groupName);
  }
  assert.equal((await tablet.does('joinGroup', { groupName })).groupId, groupId);
});

test('updateGroup sets, changes and with null removes the password; without one it stays', async () => {
  const { cyn, phone, tablet, groupId } = await adasGroup();
  assert.equal((await phone.does('updateGroup', { groupId, password: 'open sesame' })).hasPassword, true);
  await tablet.isRefused('joinGroup', { groupId }, 'wrong_password');
  const renamed = await phone.does('updateGroup', { groupId, groupName: `still closed to ${cyn.username}` });
  assert.equal(renamed.hasPassword, true);
  await phone.does('updateGroup', { groupId, password: 'open barley' });
  await tablet.isRefused('joinGroup', { groupId, password: 'open sesame' }, 'wrong_password');
  assert.equal((await phone.does('updateGroup', { groupId, password: null })).hasPassword, false);
  await tablet.does('joinGroup', { groupId });
});

test('a name that another group has is a conflict, and nothing changes', async () => {
  const one = await adasGroup();
  const other = await adasGroup();
  await one.phone.isRefused('updateGroup', { groupId: one.groupId, groupName: other.group.groupName }, 'conflict');
  const groups = await one.phone.does('listGroups', {});
  assert.equal(groups.find(({ groupId }) => groupId === one.groupId).groupName, one.group.groupName);
});

test('addMembers brings people in: newgrp to them, memberJoined to all, messages at once', async () => {
  const { ada, cyn, phone, laptop, tablet, groupId } = await adasGroup({ password: 'no need to know' });
  const group = await phone.does('addMembers', { groupId, users: [cyn.username] });
  assertGroup(group);
  assert.equal(group.memberCount, 3);
  await tablet.sees('newgrp', (e) => e.response.groupId === groupId);
  for (const tab of [phone, laptop]) assert.deepEqual(await tab.sees('memberJoined'), { groupId, username: cyn.username });
  await phone.tellsGroup(group, `welcome from ${ada.username}`);
  await tablet.seesMessage(`welcome from ${ada.username}`);
});

test('removeMember puts somebody out: all sockets of that user stop receiving at once', async () => {
  const { bob, phone, laptop, group, groupId } = await adasGroup();
  const second = await bob.connect({ transports: ['polling'] });
  await phone.tellsGroup(group, 'still here');
  await Promise.all([laptop.seesMessage('still here'), second.seesMessage('still here')]);
  assertGroup(await phone.does('removeMember', { groupId, username: bob.username }));
  assert.deepEqual(await phone.sees('memberLeft'), { groupId, username: bob.username });
  await phone.tellsGroup(group, 'now gone');
  await phone.does('typing', { receiver: groupId, group: true, typing: true });
  await laptop.seesNothing('response', 500, (e) => e.response.content === 'now gone');
  await second.seesNothing('response', 0, (e) => e.response.content === 'now gone');
  await laptop.seesNothing('typing', 0);
  await laptop.isRefused('groupMessage', { receiver: groupId, content: 'hey!' }, 'not_a_member');
  await second.isRefused('history', { receiver: groupId, group: true }, 'not_a_member');
});

test('who was removed does not get what was said meanwhile on connecting anew, not even by asking', async () => {
  const { bob, phone, laptop, group, groupId } = await adasGroup();
  await phone.does('removeMember', { groupId, username: bob.username });
  laptop.close();
  await phone.tellsGroup(group, 'behind his back');
  const again = await bob.connect({ auth: { since: { [groupId]: 0 } } });
  await again.seesNothing('response', 500);
});

test('who was removed can be added again', async () => {
  const { bob, phone, laptop, group, groupId } = await adasGroup();
  await phone.does('removeMember', { groupId, username: bob.username });
  await phone.tellsGroup(group, 'meanwhile');
  await phone.does('addMembers', { groupId, users: [bob.username] });
  await phone.tellsGroup(group, 'back again');
  await laptop.seesMessage('back again');
  assert.deepEqual(laptop.messages(groupId).map((message) => message.content), ['back again']);
});

test('deleteGroup ends it for everyone', async () => {
  const { phone, laptop, tablet, group, groupId } = await adasGroup();
  await phone.tellsGroup(group, 'last words');
  assert.equal((await phone.does('deleteGroup', { groupId })).groupId, groupId);
  for (const tab of [phone, laptop, tablet]) await tab.sees('roomsChanged', changed(groupId, 'deleted'));
  const gone = ['not_found', 'not_a_member'];
  for (const tab of [phone, laptop, tablet]) {
    await tab.isRefused('groupMessage', { receiver: groupId, content: 'hello?' }, ...gone);
    await tab.isRefused('history', { receiver: groupId, group: true }, ...gone);
    const groups = await tab.does('listGroups', {});
    assert.ok(!groups.some((other) => other.groupId === groupId));
    assert.deepEqual(await tab.does('listRooms', {}), []);
  }
  await tablet.isRefused('joinGroup', { groupId }, 'not_found');
});

test('plain members may not run the group: forbidden', async () => {
  const { ada, cyn, phone, laptop, tablet, group, groupId } = await adasGroup();
  await phone.does('addMembers', { groupId, users: [cyn.username] });
  await tablet.sees('newgrp', (e) => e.response.groupId === groupId);
  await laptop.isRefused('updateGroup', { groupId, groupName: 'mine now' }, 'forbidden');
  await laptop.isRefused('updateGroup', { groupId, password: null }, 'forbidden');
  await laptop.isRefused('deleteGroup', { groupId }, 'forbidden');
  await laptop.isRefused('addMembers', { groupId, users: [ada.username] }, 'forbidden');
  await laptop.isRefused('removeMember', { groupId, username: cyn.username }, 'forbidden');
  await laptop.isRefused('removeMember', { groupId, username: ada.username }, 'forbidden');
  await phone.tellsGroup(group, 'all as before');
  await Promise.all([laptop, tablet].map((tab) => tab.seesMessage('all as before')));
});

test('strangers even less', async () => {
  const { bob, cyn, tablet, groupId } = await adasGroup();
  const refusals = ['forbidden', 'not_a_member'];
  await tablet.isRefused('updateGroup', { groupId, groupName: 'mine now' }, ...refusals);
  await tablet.isRefused('deleteGroup', { groupId }, ...refusals);
  await tablet.isRefused('addMembers', { groupId, users: [cyn.username] }, ...refusals);
  await tablet.isRefused('removeMember', { groupId, username: bob.username }, ...refusals);
});

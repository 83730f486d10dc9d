// Many people in one room.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, assertMessage } from './harness.mjs';

const server = await Server.start();

async function aGroupOfThree() {
  const people = await server.people('ada', 'bob', 'cyn');
  const tabs = await Promise.all(people.map((person) => person.connect()));
  const users = people.slice(1).map((person) => person.username);
  const group = await tabs[0].does('createGroup', { groupName: `three with ${people[0].username}`, users });
  return { people, tabs, group, groupId: group.groupId };
}

test('a group message reaches every member, the sender too, as the same Message', async () => {
  const { people, tabs, group, groupId } = await aGroupOfThree();
  const message = await tabs[0].tellsGroup(group, 'hello all');
  assertMessage(message);
  assert.deepEqual(
    [message.sender, message.receiver, message.roomId, message.group, message.seq, message.deliveredToAll],
    [people[0].username, groupId, groupId, true, 1, false],
  );
  for (const tab of tabs) assert.deepEqual(await tab.seesMessage('hello all'), message);
});

test('everyone sees the same seqs in the same order, whoever writes', async () => {
  const { tabs, group, groupId } = await aGroupOfThree();
  const sent = [];
  for (let i = 0; i < 10; i++) for (const tab of tabs) sent.push(tab.tellsGroup(group, `message ${i}`));
  await Promise.all(sent);
  for (const tab of tabs) await tab.seesMany('response', 30);
  const ids = tabs.map((tab) => tab.messages(groupId).map((message) => `${message.seq} ${message.messageId}`));
  assert.equal(new Set(ids[0]).size, 30);
  assert.deepEqual(ids[1], ids[0]);
  assert.deepEqual(ids[2], ids[0]);
  assert.deepEqual(tabs[0].messages(groupId).map((message) => message.seq), Array.from({ length: 30 }, (_, i) => i + 1));
});

test('who is not a member is refused: not_a_member, and nothing arrives', async () => {
  const { tabs, group, groupId } = await aGroupOfThree();
  const eve = await server.person('eve');
  const theirs = await eve.connect();
  await theirs.isRefused('groupMessage', { receiver: groupId, content: 'let me in' }, 'not_a_member');
  assert.equal((await tabs[0].tellsGroup(group, 'just us')).seq, 1);
  for (const tab of tabs) {
    await tab.seesMessage('just us');
    assert.equal(tab.messages().length, 1);
  }
});

test('the history of a group is for its members', async () => {
  const { tabs, group, groupId } = await aGroupOfThree();
  await tabs[0].tellsGroup(group, 'secret');
  const eve = await server.person('eve');
  const theirs = await eve.connect();
  const error = await theirs.isRefused('history', { receiver: groupId, group: true }, 'not_a_member');
  assert.doesNotMatch(JSON.stringify(error), /secret/);
});

test('a group that does not exist is refused', async () => {
  const { tabs } = await aGroupOfThree();
  const receiver = '0190a000-0000-7000-8000-000000000000';
  await tabs[0].isRefused('groupMessage', { receiver, content: 'hello?' }, 'not_found', 'not_a_member');
});

test('the room of two others cannot be written to or read as a group', async () => {
  const { people, tabs } = await aGroupOfThree();
  const { roomId } = await tabs[0].tells(people[1], 'between us');
  const eve = await server.person('eve');
  const theirs = await eve.connect();
  for (const tab of [tabs[2], theirs]) {
    await tab.isRefused('groupMessage', { receiver: roomId, content: 'me too' }, 'not_a_member', 'not_found');
    await tab.isRefused('history', { receiver: roomId, group: true }, 'not_a_member', 'not_found');
    await tab.isRefused('joinGroup', { groupId: roomId }, 'not_found', 'forbidden');
    await tab.isRefused('createGroup', { groupId: roomId }, 'not_found', 'not_a_member', 'forbidden');
  }
});

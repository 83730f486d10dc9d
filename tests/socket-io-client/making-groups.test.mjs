// A group comes into being, and everyone hears of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, assertGroup } from './harness.mjs';

const server = await Server.start();

async function connected(...names) {
  const people = await server.people(...names);
  return Promise.all(people.map(async (person) => ({ person, name: person.username, tab: await person.connect() })));
}

test('createGroup answers with the Group', async () => {
  const [ada, bob] = await connected('ada', 'bob');
  const group = await ada.tab.does('createGroup', { groupName: `tea with ${ada.name}`, users: [bob.name] });
  assertGroup(group);
  assert.equal(group.groupName, `tea with ${ada.name}`);
  assert.equal(group.owner, ada.name);
  assert.equal(group.hasPassword, false);
  assert.equal(group.memberCount, 2);
  assert.equal(group.lastSeq, 0);
  assert.deepEqual(group.users.map((user) => user.username).sort(), [ada.name, bob.name].sort());
});

test('its members get newgrp, the maker too, and nobody else', async () => {
  const [ada, bob, cyn, dan] = await connected('ada', 'bob', 'cyn', 'dan');
  const group = await ada.tab.does('createGroup', { groupName: `new ${ada.name}`, users: [bob.name, cyn.name] });
  for (const { tab } of [ada, bob, cyn]) {
    const news = await tab.sees('newgrp', (e) => e.response.groupId === group.groupId);
    assertGroup(news.response);
    assert.equal(news.response.memberCount, 3);
  }
  await dan.tab.seesNothing('newgrp');
});

test('users may be usernames or whole User objects', async () => {
  const [ada, bob, cyn] = await connected('ada', 'bob', 'cyn');
  const everyone = await ada.tab.does('listUsers', {});
  const user = everyone.find(({ username }) => username === bob.name);
  const group = await ada.tab.does('createGroup', { groupName: `both ways ${ada.name}`, users: [user, cyn.name] });
  assert.equal(group.memberCount, 3);
  await ada.tab.tellsGroup(group, 'welcome');
  await Promise.all([bob.tab.seesMessage('welcome'), cyn.tab.seesMessage('welcome')]);
});

test('a user object is known by its username alone', async () => {
  const [ada, bob, cyn] = await connected('ada', 'bob', 'cyn');
  const group = await ada.tab.does('createGroup', {
    groupName: `misled ${ada.name}`,
    users: [{ id: cyn.person.id, username: bob.name, role: 'owner' }],
  });
  await bob.tab.sees('newgrp', (e) => e.response.groupId === group.groupId);
  await cyn.tab.seesNothing('newgrp');
});

test('naming the maker, or somebody twice, makes no difference', async () => {
  const [ada, bob] = await connected('ada', 'bob');
  const group = await ada.tab.does('createGroup', { groupName: `twice ${ada.name}`, users: [ada.name, bob.name, bob.name] });
  assert.equal(group.memberCount, 2);
  assert.equal(group.owner, ada.name);
});

test('a group may have one member', async () => {
  const [ada] = await connected('ada');
  const group = await ada.tab.does('createGroup', { groupName: `alone ${ada.name}` });
  assert.equal(group.memberCount, 1);
});

test('everyone gets roomsChanged "created", without the list of members where it is not their group', async () => {
  const [ada, bob, cyn] = await connected('ada', 'bob', 'cyn');
  const group = await ada.tab.does('createGroup', { groupName: `live ${ada.name}`, users: [bob.name], password: 'sesame!!' });
  for (const { tab } of [ada, bob, cyn]) {
    const change = await tab.sees('roomsChanged', (e) => e.response.groupId === group.groupId);
    assert.deepEqual(Object.keys(change).sort(), ['change', 'response']);
    assert.equal(change.change, 'created');
    assertGroup(change.response);
    assert.equal(change.response.hasPassword, true);
  }
  const seen = await cyn.tab.sees('roomsChanged', (e) => e.response.groupId === group.groupId);
  assert.equal(seen.response.users, undefined);
});

test('a group name that is taken is a conflict', async () => {
  const [ada, bob] = await connected('ada', 'bob');
  const groupName = `unique ${ada.name}`;
  await ada.tab.does('createGroup', { groupName });
  await bob.tab.isRefused('createGroup', { groupName }, 'conflict');
});

test('a group made over HTTP is announced with createGroup { groupId }', async () => {
  const [ada, bob] = await connected('ada', 'bob');
  const made = await ada.person.request('POST', '/api/rooms', { groupName: `http ${ada.name}`, users: [bob.name] });
  assert.equal(made.status, 201, made.text);
  assertGroup(made.body);
  const { groupId } = made.body;
  const announced = await ada.tab.does('createGroup', { groupId });
  assertGroup(announced);
  assert.equal(announced.groupId, groupId);
  for (const { tab } of [ada, bob]) await tab.sees('newgrp', (e) => e.response.groupId === groupId);
  await bob.tab.tellsGroup(made.body, 'I am in');
  await ada.tab.seesMessage('I am in');
});

test('one cannot announce a group of others', async () => {
  const [ada, eve] = await connected('ada', 'eve');
  const { groupId } = await ada.tab.does('createGroup', { groupName: `theirs ${ada.name}` });
  ada.tab.forgets();
  await eve.tab.isRefused('createGroup', { groupId }, 'not_a_member', 'forbidden', 'not_found');
  await ada.tab.seesNothing('newgrp');
});

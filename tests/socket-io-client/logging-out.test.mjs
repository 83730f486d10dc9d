// A login that is ended ends its sockets, at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server } from './harness.mjs';

const server = await Server.start();

async function isThrownOut(tab) {
  const told = await tab.sees('token-expired');
  assert.match(told.response, /^\S+ \S+/, 'the reason as a sentence');
  assert.equal(await tab.disconnects(), 'io server disconnect');
  const order = tab.log.map((e) => e.event).filter((event) => ['token-expired', 'disconnect'].includes(event));
  assert.deepEqual(order, ['token-expired', 'disconnect']);
}

test('logging out over HTTP throws out every socket of that session, but not those of other sessions or users', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const first = ada.token;
  const mine = [await ada.connect({ transports: ['websocket'] }), await ada.connect({ transports: ['polling'] })];
  await ada.logsIn();
  const otherSession = await ada.connect();
  const otherUser = await bob.connect();
  await ada.logsOut(first);
  await Promise.all(mine.map(isThrownOut));
  await otherSession.seesNothing('token-expired', 500);
  await otherSession.tells(bob, 'still here');
  await otherUser.seesMessage('still here');
  await otherUser.seesNothing('token-expired', 0);
});

test('a refreshed token stays in its session: one logout ends both', async () => {
  const ada = await server.person('ada');
  const refreshed = await ada.refreshesToken();
  const [withFirst, withRefreshed] = [await ada.connect(), await ada.connect({ auth: { token: refreshed } })];
  const changed = await ada.connect();
  await changed.does('refreshToken', { token: refreshed });
  await ada.logsOut();
  await Promise.all([withFirst, withRefreshed, changed].map(isThrownOut));
  assert.match(await server.refuses({ auth: { token: refreshed } }), /^token_revoked: /);
});

test('logging out with the refreshed token ends the sockets of the first', async () => {
  const ada = await server.person('ada');
  const refreshed = await ada.refreshesToken();
  const phone = await ada.connect();
  await ada.logsOut(refreshed);
  await isThrownOut(phone);
});

test('over HTTP the token is worth nothing any more', async () => {
  const ada = await server.person('ada');
  await ada.logsOut();
  for (const [method, path] of [['GET', '/api/auth/session'], ['GET', '/api/users'], ['POST', '/api/auth/refresh'], ['POST', '/api/auth/logout']]) {
    const answer = await ada.request(method, path);
    assert.deepEqual([answer.status, answer.body?.code], [401, 'token_revoked'], `${method} ${path}: ${answer.text}`);
  }
});

test('deleting the account throws out all sockets of all its sessions', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  await ada.logsIn();
  const laptop = await ada.connect();
  const theirs = await bob.connect();
  const answer = await ada.request('DELETE', `/api/users/${ada.username}`, { currentPassword: ada.password });
  assert.ok(answer.status === 200 || answer.status === 204, answer.text);
  await Promise.all([phone, laptop].map(isThrownOut));
  await theirs.does('listRooms', {});
  const login = await server.request('POST', '/api/auth/login', { username: ada.username, password: ada.password });
  assert.equal(login.status, 401);
});

test('what others wrote with a deleted user stays readable', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect()]);
  const group = await phone.does('createGroup', { groupName: `left by ${ada.username}`, users: [bob.username] });
  await phone.tellsGroup(group, 'remember me');
  await laptop.seesMessage('remember me');
  await ada.request('DELETE', `/api/users/${ada.username}`, { currentPassword: ada.password });
  await phone.disconnects();
  const { messages } = await laptop.does('history', { receiver: group.groupId, group: true });
  assert.equal(messages[0].content, 'remember me');
  await laptop.does('listRooms', {});
  await laptop.does('listGroups', {});
  await laptop.tellsGroup(group, 'we do');
});

test('a conversation with a deleted user does not get in the way', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect()]);
  const { roomId } = await phone.tells(bob, 'remember me');
  await laptop.seesMessage('remember me');
  await ada.request('DELETE', `/api/users/${ada.username}`, { currentPassword: ada.password });
  await phone.disconnects();
  await laptop.does('listRooms', {});
  const { status, body } = await bob.request('GET', `/api/rooms/${roomId}/messages`);
  assert.deepEqual([status, body.messages[0].content], [200, 'remember me']);
  await laptop.isRefused('privateMessage', { receiver: ada.username, content: 'where are you?' }, 'not_found');
  const users = await laptop.does('listUsers', {});
  assert.ok(!users.some(({ username }) => username === ada.username), 'a deleted user is on no list');
  const again = await bob.connect();
  await again.does('listRooms', {});
});

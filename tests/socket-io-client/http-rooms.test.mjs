// Groups and messages over HTTP, and what sockets see of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, assertGroup, assertMessage, assertProblem } from './harness.mjs';

const server = await Server.start();
const NOBODY = '0190a000-0000-7000-8000-000000000000';

/** Ada's group with a password; Bob is a member, Eve is not. */
async function adasGroup() {
  const [ada, bob, eve] = await server.people('ada', 'bob', 'eve');
  const made = await ada.request('POST', '/api/rooms', {
    groupName: `group of ${ada.username}`, users: [bob.username], password: 'open sesame',
  });
  assert.equal(made.status, 201, made.text);
  return { ada, bob, eve, group: made.body, path: `/api/rooms/${made.body.groupId}` };
}

test('POST /api/rooms makes a Group', async () => {
  const { ada, group } = await adasGroup();
  assertGroup(group);
  assert.deepEqual([group.owner, group.hasPassword, group.memberCount, group.lastSeq], [ada.username, true, 2, 0]);
});

test('a group made over HTTP is on the live list', async () => {
  const dan = await server.person('dan');
  const phone = await dan.connect();
  const { group } = await adasGroup();
  await phone.sees('roomsChanged', (e) => e.response.groupId === group.groupId && e.change === 'created');
});

test('GET /api/rooms lists it for everyone, without members or secrets', async () => {
  const { eve, group } = await adasGroup();
  const answer = await eve.request('GET', '/api/rooms');
  assert.equal(answer.status, 200);
  assert.match(answer.text, new RegExp(group.groupId));
  assert.doesNotMatch(answer.text, /sesame|argon2/);
});

test('joining needs the password; leaving ends the membership', async () => {
  const { eve, path } = await adasGroup();
  assertProblem(await eve.request('POST', `${path}/join`, { password: 'open barley' }), 403, 'wrong_password');
  assertProblem(await eve.request('POST', `${path}/join`, {}), 403, 'wrong_password');
  const joined = await eve.request('POST', `${path}/join`, { password: 'open sesame' });
  assert.equal(joined.status, 200, joined.text);
  assertGroup(joined.body);
  assert.equal(joined.body.memberCount, 3);
  assert.equal((await eve.request('GET', `${path}/messages`)).status, 200);
  const left = await eve.request('POST', `${path}/leave`);
  assert.ok(left.status === 200 || left.status === 204, left.text);
  assertProblem(await eve.request('GET', `${path}/messages`), 403, 'not_a_member');
});

test('who joins over HTTP hears the room on her sockets at once', async () => {
  const { ada, eve, group, path } = await adasGroup();
  const [phone, theirs] = await Promise.all([ada.connect(), eve.connect()]);
  await eve.request('POST', `${path}/join`, { password: 'open sesame' });
  await phone.sees('memberJoined', (e) => e.username === eve.username);
  await phone.tellsGroup(group, 'welcome');
  await theirs.seesMessage('welcome');
});

test('messages are for members only, paged by seq, oldest first', async () => {
  const { ada, bob, eve, group, path } = await adasGroup();
  const phone = await ada.connect();
  for (let i = 1; i <= 6; i++) await phone.tellsGroup(group, `message ${i}`);
  const page = async (query) => {
    const { status, body, text } = await bob.request('GET', `${path}/messages${query}`);
    assert.equal(status, 200, text);
    body.messages.forEach(assertMessage);
    return [body.messages.map((message) => message.seq), body.hasMore];
  };
  assert.deepEqual(await page(''), [[1, 2, 3, 4, 5, 6], false]);
  assert.deepEqual(await page('?limit=2'), [[5, 6], true]);
  assert.deepEqual(await page('?before=5&limit=2'), [[3, 4], true]);
  assert.deepEqual(await page('?after=2&limit=2'), [[3, 4], true]);
  for (const part of ['messages', 'members']) {
    const answer = await eve.request('GET', `${path}/${part}`);
    assertProblem(answer, 403, 'not_a_member');
    assert.doesNotMatch(answer.text, /message 1/);
  }
  for (const query of ['?limit=ten', '?limit=-1', '?before=x', '?after=1.5', '?before=-1']) {
    assertProblem(await bob.request('GET', `${path}/messages${query}`), 400, 'bad_request');
  }
});

test('the conversation of two others cannot be read', async () => {
  const [ada, bob, eve] = await server.people('ada', 'bob', 'eve');
  const phone = await ada.connect();
  const { roomId } = await phone.tells(bob, 'between us');
  for (const [method, path] of [['GET', 'messages'], ['GET', 'members'], ['POST', 'join']]) {
    const answer = await eve.request(method, `/api/rooms/${roomId}/${path}`, method === 'POST' ? {} : undefined);
    assert.ok([403, 404].includes(answer.status), `${path}: ${answer.status} ${answer.text}`);
    assert.ok(['not_a_member', 'not_found', 'forbidden'].includes(answer.body.code), answer.text);
    assert.doesNotMatch(answer.text, /between us/);
  }
});

test('members are listed for members', async () => {
  const { ada, bob, path } = await adasGroup();
  const answer = await bob.request('GET', `${path}/members`);
  assert.equal(answer.status, 200);
  assert.match(answer.text, new RegExp(ada.username));
  assert.match(answer.text, new RegExp(bob.username));
  assert.match(answer.text, /"owner"/);
});

test('the owner runs the group: rename, add, remove, delete', async () => {
  const { ada, bob, eve, group, path } = await adasGroup();
  const laptop = await bob.connect();
  const renamed = await ada.request('PATCH', path, { groupName: `renamed by ${ada.username}`, password: null });
  assert.equal(renamed.status, 200, renamed.text);
  assert.deepEqual([renamed.body.groupName, renamed.body.hasPassword], [`renamed by ${ada.username}`, false]);
  await laptop.sees('roomsChanged', (e) => e.response.groupId === group.groupId && e.change === 'updated');
  const added = await ada.request('POST', `${path}/members`, { users: [eve.username] });
  assert.ok(added.status < 300, added.text);
  await laptop.sees('memberJoined', (e) => e.username === eve.username);
  const removed = await ada.request('DELETE', `${path}/members/${bob.username}`);
  assert.ok(removed.status < 300, removed.text);
  await laptop.isRefused('groupMessage', { receiver: group.groupId, content: 'hey!' }, 'not_a_member');
  const deleted = await ada.request('DELETE', path);
  assert.ok(deleted.status < 300, deleted.text);
  await laptop.sees('roomsChanged', (e) => e.response.groupId === group.groupId && e.change === 'deleted');
  assertProblem(await ada.request('POST', `${path}/join`, {}), 404, 'not_found');
});

test('members and strangers do not', async () => {
  const { ada, bob, eve, path } = await adasGroup();
  for (const person of [bob, eve]) {
    for (const [method, where, body] of [
      ['PATCH', '', { groupName: 'mine now' }],
      ['DELETE', ''],
      ['POST', '/members', { users: [eve.username] }],
      ['DELETE', `/members/${ada.username}`],
    ]) {
      assertProblem(await person.request(method, path + where, body), 403, 'forbidden', 'not_a_member');
    }
  }
});

test('bad requests are problems with a code', async () => {
  const { ada, path } = await adasGroup();
  for (const body of [{}, [], null, { groupName: 42 }, { groupName: '' }, { groupName: 'x', users: 'bob' }]) {
    assertProblem(await ada.request('POST', '/api/rooms', JSON.stringify(body)), 400, 'bad_request');
  }
  assertProblem(await ada.request('PATCH', path, { groupName: 42 }), 400, 'bad_request');
  assertProblem(await ada.request('POST', `/api/rooms/${NOBODY}/join`, {}), 404, 'not_found');
  const answer = await ada.request('GET', '/api/rooms/no-id-at-all/messages');
  assert.ok([400, 404].includes(answer.status), answer.text);
});

test('without a token nothing of it', async () => {
  const { path } = await adasGroup();
  for (const [method, where] of [['GET', '/api/rooms'], ['GET', '/api/rooms/mine'], ['POST', '/api/rooms'], ['GET', `${path}/messages`], ['GET', `${path}/members`], ['POST', `${path}/join`], ['PATCH', path], ['DELETE', path]]) {
    assertProblem(await server.request(method, where, method === 'GET' ? undefined : {}), 401, 'token_missing');
  }
});

// What no client may ever learn, and no log may hold.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server } from './harness.mjs';

const UPDATE = 'updateDeliveryStatusOnConnection';

test("another's socket id never appears in anything that a client receives", async (t) => {
  const server = await Server.start({ t });
  const people = await server.people('ada', 'bob', 'cyn');
  const tabs = [];
  for (const person of people) tabs.push(await person.connect({ transports: ['websocket'] }), await person.connect({ transports: ['polling'] }));
  const [phone] = tabs;
  const group = await phone.does('createGroup', { groupName: 'everyone', users: people.map((person) => person.username) });
  for (const tab of tabs) {
    await tab.tells(people[0], 'to ada');
    await tab.tellsGroup(group, 'to all');
    await tab.does('lobbyMessage', { content: 'to everyone' });
    await tab.asks('typing', { receiver: group.groupId, group: true, typing: true });
    await tab.does('markRead', { receiver: group.groupId, group: true, seq: 1 });
    for (const list of ['listUsers', 'listGroups', 'listRooms']) await tab.does(list, {});
    await tab.does('history', { receiver: group.groupId, group: true });
  }
  await phone.seesMany(UPDATE, 1);
  const ids = tabs.flatMap((tab) => [tab.socket.id, tab.socket.io.engine.id]);
  tabs.at(-1).close();
  await phone.sees('onlineStatus');

  const pages = [];
  for (const path of ['/api/users', `/api/users/${people[1].username}`, '/api/rooms', '/api/rooms/mine', '/api/auth/session', `/api/rooms/${group.groupId}/messages`, `/api/rooms/${group.groupId}/members`]) {
    pages.push((await people[0].request('GET', path)).text);
  }
  const everything = pages.join('\n');
  for (const id of ids) assert.ok(!everything.includes(id), 'a socket id came over HTTP');
  for (const tab of tabs) {
    const own = [tab.socket.id, tab.socket.io.engine?.id, ...ids.slice(tabs.indexOf(tab) * 2, tabs.indexOf(tab) * 2 + 2)];
    const text = tab.received.join('\n');
    for (const id of ids) if (!own.includes(id)) assert.ok(!text.includes(id), `${tab.name} learnt ${id}`);
  }
});

test('no password and no hash of one ever reaches a client', async (t) => {
  const server = await Server.start({ t });
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect()]);
  const group = await phone.does('createGroup', { groupName: 'closed', password: 'open sesame' });
  await laptop.does('joinGroup', { groupId: group.groupId, password: 'open sesame' });
  await phone.does('updateGroup', { groupId: group.groupId, groupName: 'renamed' });
  for (const list of ['listUsers', 'listGroups', 'listRooms']) await laptop.does(list, {});
  const texts = [phone.received, laptop.received].flat();
  for (const path of ['/api/users', `/api/users/${ada.username}`, `/api/users/${bob.username}`, '/api/rooms', '/api/rooms/mine', '/api/auth/session']) {
    texts.push((await bob.request('GET', path)).text);
  }
  assert.doesNotMatch(texts.join('\n'), /open sesame|\$argon2|passwordHash|password_hash|the password of/i);
});

for (const log of [undefined, 'debug']) {
  test(`no token, password or message stands in the log${log ? ` at RUST_LOG=${log}` : ''}`, async (t) => {
    const settings = { AUTH__TOKEN_TTL: '1h', ...(log ? { RUST_LOG: log } : {}) };
    const server = await Server.start({ t, settings });
    const [ada, bob] = await server.people('ada', 'bob');
    const tabs = [
      await ada.connect(),
      await ada.connect({ auth: null, query: { token: ada.token } }),
      await ada.connect({ auth: null, extraHeaders: { authorization: `Bearer ${ada.token}` }, transports: ['polling'] }),
      await ada.connect({ auth: null, extraHeaders: { cookie: `chatToken=${ada.token}` } }),
    ];
    const [phone] = tabs;
    const laptop = await bob.connect();
    await phone.tells(bob, 'do not write this down');
    await laptop.seesMessage('do not write this down');
    await phone.tells(bob, { cipher: 'do not write this down either' }, { kind: 'encrypted' });
    await phone.asks('privateMessage', { receiver: 42, content: 'do not write this down' });
    await phone.asks('noSuchEvent', { content: 'do not write this down' });
    await phone.does('createGroup', { groupName: 'closed', password: 'open sesame' });
    await laptop.isRefused('joinGroup', { groupName: 'closed', password: 'open barley' }, 'wrong_password');
    const refreshed = await ada.refreshesToken();
    await phone.does('refreshToken', { token: refreshed });
    await server.request('POST', '/api/auth/login', { username: ada.username, password: 'a wrong password' });
    await server.request('POST', '/api/users', `{"username":"eve","password":"a broken sign-up`);
    await ada.logsOut(refreshed);
    await server.stop();
    for (const secret of [
      ada.token, bob.token, refreshed, ada.token.split('.')[2], refreshed.split('.')[2], ada.password, bob.password,
      'do not write this down', 'open sesame', 'open barley', 'a wrong password', 'a broken sign-up', '$argon2', Server.secret,
    ]) {
      const line = server.output.split('\n').find((text) => text.includes(secret));
      assert.equal(line, undefined, `the log holds "${secret.slice(0, 24)}..."`);
    }
  });
}

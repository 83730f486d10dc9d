// How often something may be done.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Manager } from 'socket.io-client';
import { Server, assertError, assertProblem, seqsTo, sleep, until } from './harness.mjs';

const server = await Server.start();

test('what is written offline arrives in order, and a flood beyond that is rate_limited, and the socket lives', async (t) => {
  const settings = { LIMITS__EVENTS_PER_SECOND: 50, LIMITS__EVENTS_BURST: 100, LIMITS__WAITING_EVENTS: 200 };
  const fast = await Server.start({ t, settings });
  const [ada, bob] = await fast.people('ada', 'bob');
  const laptop = await bob.connect();
  const phone = ada.dial();
  phone.socket.disconnect();
  const tries = seqsTo(600).map((i) => phone.asks('privateMessage', { receiver: bob.username, content: `message ${i}` }));
  phone.open();
  const answers = await Promise.all(tries);
  const passed = answers.filter((answer) => answer.success);
  const refused = answers.filter((answer) => !answer.success);
  // 200 wait for their turn, and up to 100 pass meanwhile, as fast as the server is.
  assert.ok(passed.length >= 200 && answers.slice(0, 200).every((answer) => answer.success), `only ${passed.length} passed`);
  assert.ok(refused.length > 0, 'all passed');
  for (const { error } of refused) {
    assertError(error);
    assert.equal(error.code, 'rate_limited');
    assert.ok(error.retryAfterMs > 0 && error.retryAfterMs < 60_000, `retryAfterMs ${error.retryAfterMs}`);
  }
  assert.deepEqual(passed.map((answer) => answer.response.seq), seqsTo(passed.length));
  await laptop.seesMany('response', passed.length);
  assert.deepEqual(laptop.messages().map((m) => m.content), passed.map((answer) => answer.response.content));
  assert.equal((await phone.asks('listRooms', {})).success, true, 'it works again');
});

test('the limit is per socket', async (t) => {
  const strict = await Server.start({ t, settings: { LIMITS__EVENTS_PER_SECOND: 1, LIMITS__EVENTS_BURST: 3, LIMITS__WAITING_EVENTS: 3 } });
  const ada = await strict.person('ada');
  const [phone, laptop] = await Promise.all([ada.connect(), ada.connect()]);
  const flood = seqsTo(40).map(() => phone.asks('listRooms', {}));
  assert.equal((await laptop.asks('listRooms', {})).success, true);
  const answers = await Promise.all(flood);
  const passed = answers.filter((answer) => answer.success).length;
  assert.ok(passed >= 6 && passed < 40, `${passed} of 40 passed: three at once, and three wait`);
  for (const answer of answers) if (!answer.success) assert.equal(answer.error.code, 'rate_limited');
});

test('50 events a second are fine for long', async () => {
  const ada = await server.person('ada');
  const phone = await ada.connect();
  const start = Date.now();
  for (let i = 1; i <= 180; i++) {
    await phone.does('history', { receiver: ada.username, group: false });
    await sleep(Math.max(0, start + i * 22 - Date.now()));
  }
});

test('acknowledging many messages is not a flood', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  for (let i = 1; i <= 90; i++) await phone.tells(bob, `message ${i}`);
  await sleep(1_000);
  for (let i = 91; i <= 130; i++) await phone.tells(bob, `message ${i}`);
  const laptop = await bob.connect();
  await laptop.seesMany('response', 130);
  assert.equal((await laptop.asks('listRooms', {})).success, true);
  await phone.seesMany('updateDeliveryStatusOnConnection', 130);
});

test('at connections_per_user the oldest connection makes room, is told, and stays away by itself', async (t) => {
  const strict = await Server.start({ t, settings: { LIMITS__CONNECTIONS_PER_USER: 3 } });
  const [ada, bob] = await strict.people('ada', 'bob');
  const tabs = [];
  for (let i = 0; i < 3; i++) tabs.push(await ada.connect());
  const fourth = await ada.connect();
  await bob.connect();
  const { response } = await tabs[0].sees('displaced');
  assert.match(response, /\S.*\s/);
  assert.equal(await tabs[0].disconnects(), 'io server disconnect');
  assert.equal(tabs[0].socket.active, false, 'or the tabs would push each other out for ever');
  for (const tab of [tabs[1], tabs[2], fourth]) await tab.does('listRooms', {});
  // A page may offer it.
  tabs[0].open();
  await tabs[1].sees('displaced');
  await tabs[0].does('listRooms', {});
});

test('by default that is 20, and none of 21 tabs is locked out', async () => {
  const ada = await server.person('ada');
  const tabs = await Promise.all(seqsTo(20).map(() => ada.connect({ transports: ['websocket'] })));
  const late = ada.dial();
  assert.equal((await late.isAnswered()).event, 'connect');
  await Promise.any(tabs.map((tab) => tab.sees('displaced')));
});

test('a refusal that will pass is no connect_error: the client comes back by itself', async () => {
  const ada = await server.person('ada');
  const manager = new Manager(server.url, { transports: ['websocket'], reconnectionDelay: 100 });
  const root = manager.socket('/', { auth: { token: ada.token } });
  const chat = manager.socket('/chat', { auth: { token: 'nonsense' } });
  const [refusals, reasons] = [[], []];
  root.on('disconnect', (reason) => reasons.push(reason));
  chat.on('connect_error', ({ message }) => refusals.push(message) && chat.connect());
  // More attempts to join than a session may make, in one go: one after the other may be slow enough to be allowed.
  const joins = () => seqsTo(40).forEach(() => manager.engine.write('0/chat,{"token":"nonsense"}'));
  chat.once('connect_error', joins);
  // The server's library ignores an attempt while it still has the last one in hand: also after the refusal has left,
  // for as long as a busy machine keeps it from going on. Nothing answers such an attempt, so it is made again.
  const again = setInterval(() => chat.connected || chat.connect(), 500);
  try {
    await until('the connection to be closed', () => reasons.length > 0);
    assert.equal(reasons[0], 'transport close');
    chat.auth = { token: ada.token };
    await until('both to be back', () => root.connected && chat.connected);
    assert.ok(refusals.length >= 5 && refusals.every((message) => /^token_invalid: /.test(message)), refusals.join());
  } finally {
    clearInterval(again);
    chat.disconnect();
    root.disconnect();
  }
});

test('after 5 wrong room passwords even the right one is rate_limited, for that user only', async () => {
  const [ada, bob, cyn] = await server.people('ada', 'bob', 'cyn');
  const [phone, laptop, tablet] = await Promise.all([ada.connect(), bob.connect(), cyn.connect()]);
  const { groupId } = await phone.does('createGroup', { groupName: `guess ${ada.username}`, password: 'open sesame' });
  for (let i = 1; i <= 5; i++) await laptop.isRefused('joinGroup', { groupId, password: `guess ${i}` }, 'wrong_password');
  const error = await laptop.isRefused('joinGroup', { groupId, password: 'open sesame' }, 'rate_limited');
  assert.ok(error.retryAfterMs > 0 && error.retryAfterMs <= 300_000, `retryAfterMs ${error.retryAfterMs}`);
  const other = await bob.connect();
  await other.isRefused('joinGroup', { groupId, password: 'open sesame' }, 'rate_limited');
  await tablet.does('joinGroup', { groupId, password: 'open sesame' });
});

test('after 5 wrong logins even the right password is rate_limited, for that account only', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const login = (password) => server.request('POST', '/api/auth/login', { username: ada.username, password });
  for (let i = 1; i <= 5; i++) assert.equal((await login(`guess number ${i}`)).status, 401);
  const answer = await login(ada.password);
  assertProblem(answer, 429, 'rate_limited');
  assert.ok(answer.body.retryAfterMs > 0 && answer.body.retryAfterMs <= 300_000, answer.text);
  await bob.logsIn();
  await ada.connect();
});

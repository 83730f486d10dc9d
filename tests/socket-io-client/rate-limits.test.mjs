// How often something may be done.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, assertError, assertProblem, seqsTo, sleep } from './harness.mjs';

const server = await Server.start();

test('a flood of events: the burst passes, the rest is rate_limited with retryAfterMs, and the socket lives', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect()]);
  const tries = seqsTo(400).map((i) => phone.asks('privateMessage', { receiver: bob.username, content: `message ${i}` }));
  const answers = await Promise.all(tries);
  const passed = answers.filter((answer) => answer.success);
  const refused = answers.filter((answer) => !answer.success);
  assert.ok(passed.length >= 90 && answers.slice(0, 90).every((answer) => answer.success), `only ${passed.length} passed`);
  assert.ok(refused.length > 0, 'all passed');
  for (const { error } of refused) {
    assertError(error);
    assert.equal(error.code, 'rate_limited');
    assert.ok(error.retryAfterMs > 0 && error.retryAfterMs < 60_000, `retryAfterMs ${error.retryAfterMs}`);
  }
  assert.deepEqual(passed.map((answer) => answer.response.seq), seqsTo(passed.length));
  await laptop.seesMany('response', passed.length);
  await laptop.seesNothing('response', 300, () => laptop.messages().length > passed.length);
  assert.deepEqual(laptop.messages().map((m) => m.content), passed.map((answer) => answer.response.content));

  await sleep(refused.at(-1).error.retryAfterMs);
  assert.equal((await phone.asks('listRooms', {})).success, true, 'after retryAfterMs it works again');
});

test('the limit is per socket', async () => {
  const ada = await server.person('ada');
  const [phone, laptop] = await Promise.all([ada.connect(), ada.connect()]);
  const flood = seqsTo(300).map(() => phone.asks('listRooms', {}));
  assert.equal((await laptop.asks('listRooms', {})).success, true);
  assert.ok((await Promise.all(flood)).some((answer) => answer.error?.code === 'rate_limited'));
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

test('events_per_second and events_burst can be set', async (t) => {
  const strict = await Server.start({ t, settings: { LIMITS__EVENTS_PER_SECOND: 1, LIMITS__EVENTS_BURST: 3 } });
  const ada = await strict.person('ada');
  const phone = await ada.connect();
  const answers = await Promise.all(seqsTo(10).map(() => phone.asks('listRooms', {})));
  const passed = answers.filter((answer) => answer.success).length;
  assert.ok(passed >= 3 && passed <= 5, `${passed} of 10 passed`);
});

test('connections of a user beyond connections_per_user are refused: rate_limited', async (t) => {
  const strict = await Server.start({ t, settings: { LIMITS__CONNECTIONS_PER_USER: 3 } });
  const [ada, bob] = await strict.people('ada', 'bob');
  const tabs = await Promise.all([ada.connect(), ada.connect(), ada.connect()]);
  assert.match(await strict.refuses({ auth: { token: ada.token } }), /^rate_limited: \S.*\s/);
  await bob.connect();
  for (const tab of tabs) await tab.does('listRooms', {});
  tabs[0].close();
  let again;
  do {
    await sleep(50);
    again = ada.dial();
  } while ((await again.isAnswered()).event !== 'connect');
});

test('by default that is 20', async () => {
  const ada = await server.person('ada');
  await Promise.all(seqsTo(20).map(() => ada.connect({ transports: ['websocket'] })));
  assert.match(await server.refuses({ auth: { token: ada.token } }), /^rate_limited: /);
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

// SIGTERM, and the server comes back: stock clients reconnect by themselves and go on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, freePort, seqsTo } from './harness.mjs';

const settings = { LIMITS__EVENTS_PER_SECOND: 10_000, LIMITS__EVENTS_BURST: 10_000 };

test('clients see "transport close", reconnect to the same port, and go on where they were', async (t) => {
  const server = await Server.start({ t, port: await freePort() });
  const [ada, bob] = await server.people('ada', 'bob');
  const since = {};
  const auth = (give) => give({ token: bob.token, since });
  const [phone, laptop] = await Promise.all([
    ada.connect({ transports: ['websocket'] }),
    bob.connect({ transports: ['websocket'], auth }),
  ]);
  laptop.socket.on('response', ({ response }) => (since[response.roomId] = response.seq));
  await phone.tells(bob, 'before');
  await laptop.seesMessage('before');

  await server.stop();
  for (const tab of [phone, laptop]) {
    assert.equal(await tab.disconnects(), 'transport close');
    assert.equal(tab.socket.active, true, 'it will reconnect by itself');
    assert.deepEqual(tab.seen('token-expired'), []);
    tab.forgets();
  }
  const queued = phone.tells(bob, 'written while the server was away');
  await server.run();
  await Promise.all([phone, laptop].map((tab) => tab.sees('connect')));
  assert.equal((await queued).seq, 2);
  await phone.tells(bob, 'after');
  await laptop.seesMessage('after');
  assert.deepEqual(laptop.messages().map((message) => message.seq), [2, 3]);
});

test('over polling they come back as well', async (t) => {
  const server = await Server.start({ t, port: await freePort() });
  const ada = await server.person('ada');
  const phone = await ada.connect({ transports: ['polling'] });
  await server.stop();
  assert.match(await phone.disconnects(), /^transport (close|error)$/);
  phone.forgets();
  await server.run();
  await phone.sees('connect');
  await phone.tells(ada, 'here again');
});

test('it exits 0 with many clients connected over all transports', async (t) => {
  const server = await Server.start({ t });
  const people = await server.people('ada', 'bob', 'cyn');
  const tabs = await Promise.all(
    people.flatMap((person) =>
      [['polling'], ['websocket'], ['polling', 'websocket']].map((transports) => person.connect({ transports, reconnection: false })),
    ),
  );
  await server.stop();
  for (const tab of tabs) await tab.disconnects();
});

test('what was acknowledged while it stopped is stored, and nothing is stored twice', async (t) => {
  const server = await Server.start({ t, settings });
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect({ transports: ['websocket'], reconnection: false });
  const acked = [];
  for (let i = 1; i <= 150; i++) {
    phone.socket.emit('privateMessage', { receiver: bob.username, content: `message ${i}` }, (answer) => {
      if (answer.success) acked.push(answer.response);
    });
  }
  await phone.seesMany('response', 1);
  await server.restart();

  const again = await ada.connect({ auth: { catchUp: false } });
  const { messages } = await again.does('history', { receiver: bob.username, group: false, limit: 200 });
  assert.deepEqual(messages.map((message) => message.content), seqsTo(messages.length).map((i) => `message ${i}`));
  assert.ok(messages.length >= acked.length, `${acked.length} acknowledged, ${messages.length} stored`);
  acked.forEach((message) => assert.equal(messages[message.seq - 1].messageId, message.messageId));
});

test('a client with retries that writes on through a restart has every message there, once and in order', async (t) => {
  const server = await Server.start({ t, settings, port: await freePort() });
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect({ transports: ['websocket'], retries: 1_000, ackTimeout: 2_000 });
  let writing = true;
  const writes = (async () => {
    const answers = [];
    while (writing) {
      const payload = { receiver: bob.username, content: `message ${answers.length + 1}`, clientMessageId: `${answers.length + 1}` };
      answers.push(await new Promise((acked) => phone.socket.emit('privateMessage', payload, (error, answer) => acked(error ?? answer))));
    }
    return answers;
  })();
  for (let round = 1; round <= 3; round++) {
    await phone.seesMany('response', 20);
    await server.restart();
    phone.forgets();
    await phone.sees('connect');
  }
  writing = false;
  const answers = await writes;
  const refused = answers.filter((answer) => !answer.success);
  assert.deepEqual(refused, [], 'a stock client does not retry after a negative answer');
  assert.deepEqual(answers.map((answer) => answer.response.seq), seqsTo(answers.length));
});

test('nobody who stays connected elsewhere counts as online after the restart', async (t) => {
  const server = await Server.start({ t });
  const [ada, bob] = await server.people('ada', 'bob');
  const laptop = await bob.connect({ reconnection: false });
  await server.restart();
  await laptop.disconnects();
  const phone = await ada.connect();
  const users = await phone.does('listUsers', {});
  assert.equal(users.find(({ username }) => username === bob.username).isOnline, false);
});

// However often a client has to try, a message is stored and emitted once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Line, Server, seqsTo, until } from './harness.mjs';

const server = await Server.start();

async function adaAndBob(options) {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(options), bob.connect()]);
  return { ada, bob, phone, laptop };
}

async function contents(tab, person) {
  const { messages } = await tab.does('history', { receiver: person.username, group: false });
  return messages.map((message) => message.content);
}

test('the same clientMessageId is answered with the same message and not emitted again', async () => {
  const { ada, bob, phone, laptop } = await adaAndBob();
  const first = await phone.tells(bob, 'hello', { clientMessageId: 'first try' });
  assert.equal(first.clientMessageId, 'first try');
  const second = await phone.tells(bob, 'hello', { clientMessageId: 'first try' });
  assert.deepEqual([second.messageId, second.seq, second.timestamp], [first.messageId, first.seq, first.timestamp]);
  await laptop.tells(ada, 'got it');
  for (const tab of [phone, laptop]) {
    await tab.seesMessage('got it');
    assert.deepEqual(tab.messages().map((message) => message.content), ['hello', 'got it']);
  }
});

test('even with other content: the stored message is the answer', async () => {
  const { bob, phone, laptop } = await adaAndBob();
  const first = await phone.tells(bob, 'what I said', { clientMessageId: 'x' });
  const second = await phone.tells(bob, 'what I wish I had said', { clientMessageId: 'x' });
  assert.equal(second.content, 'what I said');
  assert.equal(second.messageId, first.messageId);
  await laptop.seesNothing('response', 300, (e) => e.response.content !== 'what I said');
  assert.deepEqual(await contents(phone, bob), ['what I said']);
});

test('two at the same moment are one', async () => {
  const { ada, bob, phone, laptop } = await adaAndBob();
  const tablet = await ada.connect();
  const tries = [phone, tablet, phone, tablet, phone].map((tab) => tab.tells(bob, 'now', { clientMessageId: 'n' }));
  const ids = new Set((await Promise.all(tries)).map((message) => message.messageId));
  assert.equal(ids.size, 1);
  await laptop.seesMessage('now');
  await laptop.seesNothing('response', 300, () => laptop.messages().length > 1);
  assert.equal((await phone.tells(bob, 'next')).seq, 2, 'seqs have no gap');
});

test('a clientMessageId counts per sender and room', async () => {
  const { ada, bob, phone, laptop } = await adaAndBob();
  const cyn = await server.person('cyn');
  const clientMessageId = 'the same for all';
  const messages = [
    await phone.tells(bob, 'to bob', { clientMessageId }),
    await phone.tells(cyn, 'to cyn', { clientMessageId }),
    await laptop.tells(ada, 'to ada', { clientMessageId }),
  ];
  assert.deepEqual(messages.map((message) => message.content), ['to bob', 'to cyn', 'to ada']);
  assert.equal(new Set(messages.map((message) => message.messageId)).size, 3);
});

test('a clientMessageId is remembered across reconnects and restarts', async (t) => {
  const own = await Server.start({ t });
  const [ada, bob] = await own.people('ada', 'bob');
  const phone = await ada.connect();
  const first = await phone.tells(bob, 'before', { clientMessageId: 'x' });
  phone.close();
  await own.restart();
  const again = await ada.connect();
  assert.equal((await again.tells(bob, 'after', { clientMessageId: 'x' })).messageId, first.messageId);
});

test('it works in groups too', async () => {
  const { ada, bob, phone, laptop } = await adaAndBob();
  const group = await phone.does('createGroup', { groupName: `once ${ada.username}`, users: [bob.username] });
  const first = await phone.tellsGroup(group, 'hello', { clientMessageId: 'x' });
  const second = await phone.tellsGroup(group, 'hello', { clientMessageId: 'x' });
  assert.equal(second.messageId, first.messageId);
  assert.equal((await phone.tellsGroup(group, 'next')).seq, 2);
  await laptop.seesMessage('next');
  assert.equal(laptop.messages(group.groupId).length, 2);
});

test('retries with an ackTimeout that is far too short: sent many times, there once', async () => {
  const { bob, phone, laptop } = await adaAndBob({ retries: 10, ackTimeout: 2, transports: ['websocket'] });
  for (let i = 1; i <= 5; i++) {
    const payload = { receiver: bob.username, content: `message ${i}`, clientMessageId: `c${i}` };
    await new Promise((resolve) => phone.socket.emit('privateMessage', payload, resolve));
  }
  await laptop.seesMessage('message 5');
  const plain = await laptop.does('history', { receiver: phone.name, group: false });
  assert.deepEqual(plain.messages.map((message) => message.content), seqsTo(5).map((i) => `message ${i}`));
  assert.deepEqual(laptop.messages().map((message) => message.seq), seqsTo(5));
});

test('retries: the answer is lost and the line breaks; after the reconnect the client has its ack, and all is there once', async (t) => {
  const line = await Line.to(server, t);
  const { ada, bob, phone, laptop } = await adaAndBob({ at: line.url, retries: 20, ackTimeout: 500, transports: ['websocket'] });
  line.losesAnswers();
  const acks = [];
  for (let i = 1; i <= 3; i++) {
    const payload = { receiver: bob.username, content: `message ${i}`, clientMessageId: `c${i}` };
    phone.socket.emit('privateMessage', payload, (error, answer) => acks.push(error ?? answer));
  }
  await laptop.seesMessage('message 1');
  assert.deepEqual(acks, [], 'the client knows of nothing yet');
  line.breaks();
  await phone.disconnects();
  line.works();
  await until('all three are acknowledged', () => acks.length === 3);
  assert.deepEqual(acks.map((answer) => [answer.success, answer.response.seq, answer.response.content]), [
    [true, 1, 'message 1'],
    [true, 2, 'message 2'],
    [true, 3, 'message 3'],
  ]);
  await laptop.seesMessage('message 3');
  assert.deepEqual(laptop.messages().map((message) => message.seq), [1, 2, 3]);
  assert.deepEqual(await contents(laptop, ada), ['message 1', 'message 2', 'message 3']);
});

test('the transport is closed right after the emit: the retry makes it one message', async () => {
  const { bob, phone, laptop } = await adaAndBob({ retries: 20, ackTimeout: 1_000, transports: ['websocket'] });
  for (let i = 1; i <= 5; i++) {
    const acked = new Promise((resolve) => {
      const payload = { receiver: bob.username, content: `message ${i}`, clientMessageId: `c${i}` };
      phone.socket.emit('privateMessage', payload, (error, answer) => resolve(error ?? answer));
    });
    phone.socket.io.engine.close();
    const answer = await acked;
    assert.equal(answer.success, true);
    assert.equal(answer.response.seq, i);
  }
  await laptop.seesMany('response', 5);
  assert.deepEqual(laptop.messages().map((message) => message.content), seqsTo(5).map((i) => `message ${i}`));
});

test('a negative answer is an answer: the client does not retry, and goes on', async () => {
  const { bob, phone, laptop } = await adaAndBob({ retries: 5, ackTimeout: 2_000 });
  const refused = await new Promise((resolve) => {
    phone.socket.emit('privateMessage', { receiver: bob.username }, (error, answer) => resolve(error ?? answer));
  });
  assert.equal(refused.success, false);
  phone.socket.emit('privateMessage', { receiver: bob.username, content: 'next' }, () => {});
  assert.equal((await laptop.seesMessage('next')).seq, 1);
});

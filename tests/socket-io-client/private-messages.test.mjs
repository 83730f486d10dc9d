// Two people write to each other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, assertMessage } from './harness.mjs';

const server = await Server.start();

async function adaAndBob() {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect()]);
  return { ada, bob, phone, laptop };
}

test('the acknowledgement is { success: true, response: Message } with every field of a Message', async () => {
  const { ada, bob, phone } = await adaAndBob();
  const answer = await phone.asks('privateMessage', { receiver: bob.username, content: 'hello' });
  assert.deepEqual(Object.keys(answer).sort(), ['response', 'success']);
  assert.equal(answer.success, true);
  const message = answer.response;
  assertMessage(message);
  assert.equal(message.sender, ada.username);
  assert.equal(message.receiver, bob.username);
  assert.equal(message.group, false);
  assert.equal(message.content, 'hello');
  assert.equal(message.kind, 'text');
  assert.equal(message.seq, 1);
  assert.equal(message.deliveredToAll, false);
  assert.equal(message.readByAll, false);
  assert.ok(Math.abs(Date.parse(message.timestamp) - Date.now()) < 60_000, message.timestamp);
});

test('receiver and sender both get the message as a response event, equal to the acknowledged one', async () => {
  const { bob, phone, laptop } = await adaAndBob();
  const acknowledged = await phone.tells(bob, 'hello');
  assert.deepEqual(await laptop.seesMessage('hello'), acknowledged);
  assert.deepEqual(await phone.seesMessage('hello'), acknowledged);
  assertMessage(laptop.messages()[0]);
});

test('a response event has one argument, { response }, and asks for an acknowledgement', async () => {
  const { bob, phone, laptop } = await adaAndBob();
  await phone.tells(bob, 'hello');
  const entry = await laptop.seesEntry((e) => e.event === 'response');
  assert.equal(entry.args.length, 1);
  assert.deepEqual(Object.keys(entry.data), ['response']);
  assert.equal(typeof entry.ack, 'function');
});

test("the sender's own response event comes before the acknowledgement, every time", async () => {
  const { bob, phone } = await adaAndBob();
  for (let i = 1; i <= 20; i++) {
    const message = await phone.tells(bob, `message ${i}`);
    const order = phone.log
      .filter(({ event, data }) => /^(response|ack:privateMessage)$/.test(event) && data.response.messageId === message.messageId)
      .map(({ event }) => event);
    assert.deepEqual(order, ['response', 'ack:privateMessage']);
  }
});

test('seqs count 1, 2, 3 in a room, whoever writes, and each pair has its own room', async () => {
  const { ada, bob, phone, laptop } = await adaAndBob();
  const cyn = await server.person('cyn');
  const messages = [
    await phone.tells(bob, 'one'),
    await laptop.tells(ada, 'two'),
    await laptop.tells(ada, 'three'),
    await phone.tells(bob, 'four'),
  ];
  assert.deepEqual(messages.map((message) => message.seq), [1, 2, 3, 4]);
  assert.equal(new Set(messages.map((message) => message.roomId)).size, 1);
  assert.equal(new Set(messages.map((message) => message.messageId)).size, 4);
  const other = await phone.tells(cyn, 'to somebody else');
  assert.equal(other.seq, 1);
  assert.notEqual(other.roomId, messages[0].roomId);
});

test('the receiver is named the same way in both directions', async () => {
  const { ada, bob, phone, laptop } = await adaAndBob();
  await phone.tells(bob, 'to bob');
  await laptop.tells(ada, 'to ada');
  for (const tab of [phone, laptop]) {
    const [first, second] = await tab.seesMany('response', 2);
    assert.deepEqual([first.response.sender, first.response.receiver], [ada.username, bob.username]);
    assert.deepEqual([second.response.sender, second.response.receiver], [bob.username, ada.username]);
  }
});

test('every tab of both sees every message once', async () => {
  const { ada, bob, phone, laptop } = await adaAndBob();
  const tabs = [phone, laptop, await ada.connect(), await bob.connect()];
  await phone.tells(bob, 'one');
  await laptop.tells(ada, 'two');
  for (const tab of tabs) {
    await tab.seesMessage('two');
    assert.deepEqual(tab.messages().map((message) => message.content), ['one', 'two']);
  }
});

test('nobody else sees it', async () => {
  const { bob, phone, laptop } = await adaAndBob();
  const cyn = await server.person('cyn');
  const tablet = await cyn.connect();
  await phone.tells(bob, 'between us');
  await laptop.seesMessage('between us');
  await tablet.seesNothing('response');
});

test('an emit without a callback has the same effect', async () => {
  const { bob, phone, laptop } = await adaAndBob();
  phone.socket.emit('privateMessage', { receiver: bob.username, content: 'no callback' });
  assert.equal((await laptop.seesMessage('no callback')).seq, 1);
});

test('a sender in the payload is ignored', async () => {
  const { ada, bob, phone, laptop } = await adaAndBob();
  const payload = { receiver: bob.username, content: 'it was him', sender: bob.username };
  assert.equal((await phone.does('privateMessage', payload)).sender, ada.username);
  assert.equal((await laptop.seesMessage('it was him')).sender, ada.username);
});

test('a message can answer another', async () => {
  const { ada, bob, phone, laptop } = await adaAndBob();
  const question = await phone.tells(bob, 'tea?');
  const answer = await laptop.tells(ada, 'please', { replyTo: question.messageId });
  assert.equal(answer.replyTo, question.messageId);
  assert.equal((await phone.seesMessage('please')).replyTo, question.messageId);
});

test('encrypted content is any JSON and comes back as it was', async () => {
  const { bob, phone, laptop } = await adaAndBob();
  const content = { v: 2, iv: 'AAEC', parts: [1, -2.5, null, true, { deep: ['ü', ''] }], type: 'system', '': 0 };
  const sent = await phone.does('privateMessage', { receiver: bob.username, content, kind: 'encrypted' });
  assert.equal(sent.kind, 'encrypted');
  assert.deepEqual(sent.content, content);
  const seen = await laptop.seesEntry((e) => e.event === 'response');
  assert.deepEqual(seen.data.response, sent);
  const { messages } = await laptop.does('history', { receiver: sent.sender, group: false });
  assert.deepEqual(messages[0].content, content);
});

test('a receiver who does not exist is not_found', async () => {
  const { phone } = await adaAndBob();
  await phone.isRefused('privateMessage', { receiver: 'nobody-of-that-name', content: 'hello?' }, 'not_found');
});

// Front ends emit before `connect` has fired; nothing of that is lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, seqsTo } from './harness.mjs';

const server = await Server.start();

for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
  test(`events emitted before connect are handled, in order, over ${transports.join(' and ')}`, async () => {
    const [ada, bob] = await server.people('ada', 'bob');
    const laptop = await bob.connect();
    const phone = ada.dial({ transports });
    assert.equal(phone.socket.connected, false);
    const sent = await Promise.all(seqsTo(20).map((i) => phone.tells(bob, `early ${i}`)));
    assert.deepEqual(sent.map((message) => message.seq), seqsTo(20));
    await laptop.seesMany('response', 20);
    assert.deepEqual(laptop.messages().map((message) => message.content), seqsTo(20).map((i) => `early ${i}`));
  });
}

test('it works every time, for many clients at once', async () => {
  const ada = await server.person('ada');
  for (let round = 0; round < 5; round++) {
    const tabs = seqsTo(15).map(() => ada.dial({ transports: ['websocket'] }));
    const answers = await Promise.all(tabs.map((tab) => tab.asks('listRooms', {})));
    assert.ok(answers.every((answer) => answer.success));
    for (const tab of tabs) tab.close();
  }
});

test('events emitted in the connect handler are handled', async () => {
  const ada = await server.person('ada');
  const phone = ada.dial();
  const answer = await new Promise((resolve) => phone.socket.on('connect', () => resolve(phone.asks('listGroups', {}))));
  assert.equal(answer.success, true);
});

test('nothing falls between the rooms one is in and the live messages: a message sent at the moment of connecting arrives', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  for (let i = 1; i <= 20; i++) {
    const laptop = bob.dial({ transports: ['websocket'] });
    if (i % 2) await laptop.sees('connect');
    await phone.tells(bob, `message ${i}`);
    await laptop.seesMessage(`message ${i}`);
    await phone.seesMany('updateDeliveryStatusOnConnection', i);
    laptop.close();
  }
});

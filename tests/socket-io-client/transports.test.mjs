// Stock clients reach the server over every transport they know.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, seqsTo, until } from './harness.mjs';

const server = await Server.start({ settings: { LIMITS__EVENTS_PER_SECOND: 10_000, LIMITS__EVENTS_BURST: 10_000 } });

for (const transport of ['polling', 'websocket']) {
  test(`two people chat over ${transport} alone`, async () => {
    const [ada, bob] = await server.people('ada', 'bob');
    const [phone, laptop] = await Promise.all([
      ada.connect({ transports: [transport] }),
      bob.connect({ transports: [transport], upgrade: false }),
    ]);
    assert.equal(phone.transport, transport);
    const sent = await phone.tells(bob, 'over one transport');
    const seen = await laptop.seesMessage('over one transport');
    assert.deepEqual(seen, sent);
    await laptop.tells(ada, 'and back');
    await phone.seesMessage('and back');
    assert.equal(phone.transport, transport, 'the transport stayed');
  });

  test(`a long text passes unharmed over ${transport}`, async () => {
    const [ada, bob] = await server.people('ada', 'bob');
    const [phone, laptop] = await Promise.all([
      ada.connect({ transports: [transport] }),
      bob.connect({ transports: [transport] }),
    ]);
    const text = 'äöü€😀 and so on; '.repeat(1_000).slice(0, 8_000);
    await phone.tells(bob, text);
    await laptop.seesMessage(text);
  });
}

test('a client that starts with polling is upgraded to websocket and goes on', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect({ transports: ['polling', 'websocket'] }), bob.connect()]);
  await until('the upgrade to websocket', () => phone.transport === 'websocket');
  await phone.tells(bob, 'after the upgrade');
  await laptop.seesMessage('after the upgrade');
  assert.deepEqual(phone.seen('disconnect'), []);
});

test('nothing is lost or reordered while the transport is being upgraded', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const laptop = await bob.connect({ transports: ['websocket'] });
  const phone = ada.dial({ transports: ['polling', 'websocket'] });
  const sent = [];
  await phone.sees('connect');
  do {
    sent.push(phone.tells(bob, `message ${sent.length + 1}`));
    await new Promise(setImmediate);
  } while (sent.length < 40 || (phone.transport === 'polling' && sent.length < 200));
  const stored = await Promise.all(sent);
  assert.deepEqual(stored.map((message) => message.seq), seqsTo(sent.length));
  await until('the upgrade to websocket', () => phone.transport === 'websocket');
  await laptop.seesMany('response', sent.length);
  for (const tab of [phone, laptop]) {
    await tab.seesMany('response', sent.length);
    assert.deepEqual(tab.messages().map((message) => message.content), sent.map((_, i) => `message ${i + 1}`));
  }
});

test('three people on three transports sit in one room', async () => {
  const [ada, bob, cyn] = await server.people('ada', 'bob', 'cyn');
  const tabs = await Promise.all([
    ada.connect({ transports: ['polling'] }),
    bob.connect({ transports: ['websocket'] }),
    cyn.connect({ transports: ['polling', 'websocket'] }),
  ]);
  const group = await tabs[0].does('createGroup', { groupName: `mixed ${ada.username}`, users: [bob.username, cyn.username] });
  for (const [i, tab] of tabs.entries()) {
    await tab.tellsGroup(group, `from ${i}`);
    await Promise.all(tabs.map((other) => other.seesMessage(`from ${i}`)));
  }
});

test('the handshake says what stock clients expect, with these keys and no others', async () => {
  const { text } = await server.request('GET', '/socket.io/?EIO=4&transport=polling');
  const { sid, ...rest } = JSON.parse(text.slice(1));
  assert.equal(text[0], '0');
  assert.equal(typeof sid, 'string');
  assert.deepEqual(rest, { upgrades: ['websocket'], pingInterval: 25_000, pingTimeout: 20_000, maxPayload: 1_000_000 });
});

test('a namespace that does not exist is refused', async () => {
  const [ada] = await server.people('ada');
  const lost = server.dial({ at: `${server.url}/no-such-place`, auth: { token: ada.token } });
  assert.equal((await lost.isAnswered()).event, 'connect_error');
});

// One sender's messages keep their order, everywhere.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, seqsTo } from './harness.mjs';

const server = await Server.start({ settings: { LIMITS__EVENTS_PER_SECOND: 10_000, LIMITS__EVENTS_BURST: 10_000 } });
const COUNT = 200;
const LONG = 20_000;

for (const transport of ['websocket', 'polling']) {
  test(`${COUNT} messages emitted over ${transport} without waiting arrive in order at everyone`, async () => {
    const people = await server.people('ada', 'bob', 'cyn');
    const phone = await people[0].connect({ transports: [transport] });
    const others = await Promise.all([
      people[0].connect(),
      people[1].connect({ transports: ['websocket'] }),
      people[1].connect({ transports: ['polling'] }),
      people[2].connect(),
    ]);
    const users = people.slice(1).map((person) => person.username);
    const group = await phone.does('createGroup', { groupName: `order ${transport}`, users });
    const acks = await Promise.all(seqsTo(COUNT).map((i) => phone.tellsGroup(group, `message ${i}`)));
    assert.deepEqual(acks.map((message) => message.seq), seqsTo(COUNT));
    const expected = seqsTo(COUNT).map((i) => `${i} message ${i}`);
    for (const tab of [phone, ...others]) {
      await tab.seesMany('response', COUNT, () => true, LONG);
      assert.deepEqual(tab.messages(group.groupId).map((message) => `${message.seq} ${message.content}`), expected);
    }
    const acked = phone.seen('ack:groupMessage').map((answer) => answer.response.seq);
    assert.deepEqual(acked, seqsTo(COUNT), 'the acknowledgements keep the order as well');
  });
}

test('four senders at once: each one in order, all seqs there, the same for everyone', async () => {
  const people = await server.people('ada', 'bob', 'cyn', 'dan');
  const tabs = await Promise.all(people.map((person) => person.connect()));
  const users = people.map((person) => person.username);
  const group = await tabs[0].does('createGroup', { groupName: 'four at once', users });
  await Promise.all(tabs.flatMap((tab, who) => seqsTo(50).map((i) => tab.tellsGroup(group, `${who}:${i}`))));
  const views = [];
  for (const tab of tabs) {
    await tab.seesMany('response', 200, () => true, LONG);
    const messages = tab.messages(group.groupId);
    assert.deepEqual(messages.map((message) => message.seq), seqsTo(200));
    for (const who of tabs.keys()) {
      const theirs = messages.map((message) => message.content).filter((content) => content.startsWith(`${who}:`));
      assert.deepEqual(theirs, seqsTo(50).map((i) => `${who}:${i}`));
    }
    views.push(messages.map((message) => message.messageId).join());
  }
  assert.equal(new Set(views).size, 1);
});

test('messages to several rooms and other requests in between do not disturb the order', async () => {
  const [ada, bob, cyn] = await server.people('ada', 'bob', 'cyn');
  const [phone, laptop, tablet] = await Promise.all([ada.connect(), bob.connect(), cyn.connect()]);
  const all = [];
  for (let i = 1; i <= 60; i++) {
    all.push(phone.tells(bob, `b${i}`), phone.tells(cyn, `c${i}`));
    if (i % 10 === 0) all.push(phone.asks('history', { receiver: bob.username, group: false }), phone.asks('privateMessage', {}));
  }
  await Promise.all(all);
  await Promise.all([laptop.seesMany('response', 60), tablet.seesMany('response', 60)]);
  assert.deepEqual(laptop.messages().map((message) => message.content), seqsTo(60).map((i) => `b${i}`));
  assert.deepEqual(tablet.messages().map((message) => message.content), seqsTo(60).map((i) => `c${i}`));
});

test('more at once than the server likes: each is answered, what was taken is there in order, the rest may be sent again', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect({ transports: ['websocket'] }), bob.connect()]);
  const answers = await Promise.all(
    seqsTo(1_500).map((i) => phone.asks('privateMessage', { receiver: bob.username, content: `message ${i}`, clientMessageId: `${i}` })),
  );
  const taken = answers.filter((answer) => answer.success).map((answer) => answer.response);
  for (const answer of answers) if (!answer.success) assert.ok(['unavailable', 'rate_limited'].includes(answer.error.code), answer.error.code);
  assert.deepEqual(taken.map((message) => message.seq), seqsTo(taken.length));
  await laptop.seesMany('response', taken.length, () => true, LONG);
  assert.deepEqual(laptop.messages().map((message) => message.content), taken.map((message) => message.content));
  const last = await phone.tells(bob, 'message 1500', { clientMessageId: '1500' });
  assert.ok(last.seq <= taken.length + 1);
});

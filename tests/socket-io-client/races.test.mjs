// Things that happen at the same moment.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, seqsTo } from './harness.mjs';

const server = await Server.start({ settings: { LIMITS__EVENTS_PER_SECOND: 10_000, LIMITS__EVENTS_BURST: 10_000 } });

test('two who write to each other for the first time at once share one room', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const tabs = await Promise.all([ada.connect(), bob.connect(), ada.connect(), bob.connect()]);
  const messages = await Promise.all(tabs.flatMap((tab, i) => [1, 2, 3].map((n) => tab.tells(i % 2 ? ada : bob, `${i} says ${n}`))));
  assert.equal(new Set(messages.map((message) => message.roomId)).size, 1);
  assert.deepEqual(messages.map((message) => message.seq).sort((a, b) => a - b), seqsTo(12));
  for (const tab of tabs) {
    await tab.seesMany('response', 12);
    assert.deepEqual(tab.messages().map((message) => message.seq), seqsTo(12));
  }
});

test('a group name that many want at once is given once', async () => {
  const ada = await server.person('ada');
  const tabs = await Promise.all(seqsTo(5).map(() => ada.connect()));
  const answers = await Promise.all(tabs.map((tab) => tab.asks('createGroup', { groupName: `wanted by ${ada.username}` })));
  assert.equal(answers.filter((answer) => answer.success).length, 1);
  for (const answer of answers) if (!answer.success) assert.equal(answer.error.code, 'conflict');
});

test('who joins from many tabs at once is one member', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  const tabs = await Promise.all(seqsTo(5).map(() => bob.connect()));
  const { groupId } = await phone.does('createGroup', { groupName: `joined by ${bob.username}` });
  await Promise.all(tabs.map((tab) => tab.does('joinGroup', { groupId })));
  await phone.sees('memberJoined');
  await phone.seesNothing('memberJoined', 300, () => phone.seen('memberJoined').length > 1);
  const message = await phone.does('groupMessage', { receiver: groupId, content: 'welcome, once' });
  for (const tab of tabs) {
    await tab.seesMessage('welcome, once');
    await tab.seesNothing('response', 50, (e) => e.response.seq !== message.seq);
    assert.equal(tab.messages().length, 1);
  }
  const [room] = await phone.does('listRooms', {});
  assert.equal(room.group.memberCount, 2);
});

test('who is removed in the middle of writing has no message after the removal', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect()]);
  const group = await phone.does('createGroup', { groupName: `stop ${ada.username}`, users: [bob.username] });
  const { groupId } = group;
  let stop = false;
  const flood = (async () => {
    const tries = [];
    while (!stop) {
      tries.push(laptop.asks('groupMessage', { receiver: groupId, content: `flood ${tries.length}` }));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return Promise.all(tries);
  })();
  await phone.seesMany('response', 20);
  await phone.does('removeMember', { groupId, username: bob.username });
  const after = await phone.tellsGroup(group, 'after the removal');
  await phone.seesNothing('response', 100, (e) => e.response.seq > after.seq);
  stop = true;
  const answers = await flood;
  const stored = answers.filter((answer) => answer.success).map((answer) => answer.response);
  assert.ok(stored.every((message) => message.seq < after.seq));
  for (const answer of answers) if (!answer.success) assert.equal(answer.error.code, 'not_a_member');
  assert.deepEqual(laptop.messages(groupId).filter((message) => message.seq >= after.seq), []);
});

test('who is added while others write sees every message from some point on, without a hole', async () => {
  const [ada, bob, cyn] = await server.people('ada', 'bob', 'cyn');
  const [phone, laptop, tablet] = await Promise.all([ada.connect(), bob.connect(), cyn.connect()]);
  const group = await phone.does('createGroup', { groupName: `flow ${ada.username}`, users: [bob.username] });
  const sent = [];
  let added;
  for (let i = 1; i <= 150; i++) {
    // However slow the machine: the adding has messages before it, and after it.
    if (i === 60) {
      await sent[0];
      added = phone.does('addMembers', { groupId: group.groupId, users: [cyn.username] });
    }
    if (i === 149) await added;
    sent.push([phone, laptop][i % 2].tellsGroup(group, `message ${i}`));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const own = (await Promise.all(sent)).filter((message) => message.sender === ada.username);
  await tablet.sees('response', (e) => e.response.seq === 150);
  const seqs = tablet.messages(group.groupId).map((message) => message.seq);
  assert.deepEqual(seqs, seqsTo(150, seqs[0]));
  assert.ok(seqs[0] > 1 && seqs[0] < 150, `it began at ${seqs[0]}`);
  const last = Math.max(...own.map((message) => message.seq));
  await phone.sees('updateDeliveryStatusOnConnection', (e) => e.response.seq === last);
});

test('who connects while others write sees every message, in order', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  const sent = [];
  const tabs = [];
  for (let i = 1; i <= 200; i++) {
    sent.push(phone.tells(bob, `message ${i}`));
    if (i % 20 === 0) tabs.push(bob.dial({ acks: false, auth: tabs.length ? { since: { [(await sent[0]).roomId]: 0 } } : {} }));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(sent);
  for (const tab of tabs) {
    await tab.seesMany('response', 200);
    assert.deepEqual(tab.messages().map((message) => message.seq), seqsTo(200));
  }
});

test('a connection that comes in at the moment of logging out does not slip through', async () => {
  for (let round = 0; round < 5; round++) {
    const ada = await server.person('ada');
    const tabs = seqsTo(12).map((i) => ada.dial({ transports: [i % 2 ? 'websocket' : 'polling'], reconnection: false }));
    if (round % 2) await tabs[round].isAnswered();
    await ada.logsOut();
    for (const tab of tabs) {
      const { event, data } = await tab.isAnswered();
      if (event === 'connect') assert.equal(await tab.disconnects(), 'io server disconnect');
      else assert.match(data.message, /^token_revoked: /);
    }
  }
});

test('a group that is deleted in the middle of writing leaves clear answers behind', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect(), bob.connect()]);
  const { groupId } = await phone.does('createGroup', { groupName: `short ${ada.username}`, users: [bob.username] });
  const tries = seqsTo(100).map((i) => laptop.asks('groupMessage', { receiver: groupId, content: `message ${i}` }));
  await phone.does('deleteGroup', { groupId });
  for (const answer of await Promise.all(tries)) {
    if (!answer.success) assert.ok(['not_found', 'not_a_member'].includes(answer.error.code), answer.error.code);
  }
  await laptop.isRefused('groupMessage', { receiver: groupId, content: 'too late' }, 'not_found', 'not_a_member');
});

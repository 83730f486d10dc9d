// After a break one gets what one missed: all of it, once, in order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Line, Server, seqsTo } from './harness.mjs';

const server = await Server.start();
const UPDATE = 'updateDeliveryStatusOnConnection';

/** Ada has written `count` messages to Bob, who is away. */
async function adaHasWritten(count) {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  let message;
  for (let i = 1; i <= count; i++) message = await phone.tells(bob, `message ${i}`);
  return { ada, bob, phone, roomId: message?.roomId };
}

const seqs = (tab, roomId) => tab.messages(roomId).map((message) => message.seq);

test('on connecting, everything that was not acknowledged arrives, oldest first', async () => {
  const { bob, phone, roomId } = await adaHasWritten(5);
  const laptop = await bob.connect();
  await laptop.seesMany('response', 5);
  assert.deepEqual(seqs(laptop, roomId), seqsTo(5));
  await phone.seesMany(UPDATE, 5);
});

test('what was acknowledged does not come again', async () => {
  const { bob, phone } = await adaHasWritten(3);
  const laptop = await bob.connect();
  await laptop.seesMany('response', 3);
  await phone.seesMany(UPDATE, 3);
  laptop.close();
  const again = await bob.connect();
  await again.seesNothing('response');
});

test('what was seen but not acknowledged does', async () => {
  const { bob, roomId } = await adaHasWritten(3);
  const laptop = await bob.connect({ acks: false });
  await laptop.seesMany('response', 3);
  laptop.close();
  const again = await bob.connect();
  await again.seesMany('response', 3);
  assert.deepEqual(seqs(again, roomId), [1, 2, 3]);
});

test('several rooms catch up side by side, each in order', async () => {
  const { ada, bob, phone, roomId } = await adaHasWritten(3);
  const cyn = await server.person('cyn');
  const tablet = await cyn.connect();
  const group = await phone.does('createGroup', { groupName: `catch up ${ada.username}`, users: [bob.username, cyn.username] });
  for (let i = 1; i <= 4; i++) await [phone, tablet][i % 2].tellsGroup(group, `group ${i}`);
  await tablet.tells(bob, 'from cyn');
  const laptop = await bob.connect();
  await laptop.seesMany('response', 8);
  assert.deepEqual(seqs(laptop, roomId), seqsTo(3));
  assert.deepEqual(seqs(laptop, group.groupId), seqsTo(4));
  assert.equal(laptop.messages().length, 8);
});

test('since { roomId: seq } gives what follows instead, whatever was acknowledged', async () => {
  const { bob, phone, roomId } = await adaHasWritten(5);
  const laptop = await bob.connect();
  await laptop.seesMany('response', 5);
  await phone.seesMany(UPDATE, 5);
  const tablet = await bob.connect({ auth: { since: { [roomId]: 2 } } });
  await tablet.seesMany('response', 3);
  assert.deepEqual(seqs(tablet, roomId), [3, 4, 5]);
  const everything = await bob.connect({ auth: { since: { [roomId]: 0 } } });
  await everything.seesMany('response', 5);
  assert.deepEqual(seqs(everything, roomId), seqsTo(5));
});

test('since also says that everything up to there has arrived', async () => {
  const { bob, phone, roomId } = await adaHasWritten(4);
  const laptop = await bob.connect({ acks: false, auth: { since: { [roomId]: 3 } } });
  await laptop.seesMany('response', 1);
  const updates = await phone.seesMany(UPDATE, 3);
  assert.deepEqual(updates.map((update) => update.response.seq).sort(), [1, 2, 3]);
  await phone.seesNothing(UPDATE, 300, (update) => update.response.seq === 4);
  assert.deepEqual(seqs(laptop, roomId), [4]);
});

test('rooms that since does not name go by the receipt', async () => {
  const { bob, roomId } = await adaHasWritten(2);
  const cyn = await server.person('cyn');
  await (await cyn.connect()).tells(bob, 'from cyn');
  const laptop = await bob.connect({ auth: { since: { [roomId]: 2 } } });
  await laptop.seesMessage('from cyn');
  await laptop.seesNothing('response', 300, (e) => e.response.roomId === roomId);
});

test('a since beyond the last message claims nothing that is still to come', async () => {
  const { bob, phone, roomId } = await adaHasWritten(1);
  const laptop = await bob.connect({ acks: false, auth: { since: { [roomId]: 1_000_000 } } });
  const next = await phone.tells(bob, 'still to come');
  await laptop.seesMessage('still to come');
  await phone.seesNothing(UPDATE, 500, (update) => update.response.messageId === next.messageId);
});

test('since for a room of others, or for none at all, gives nothing', async () => {
  const { roomId } = await adaHasWritten(3);
  const eve = await server.person('eve');
  const theirs = await eve.connect({ auth: { since: { [roomId]: 0, 'no-such-room': 1 } } });
  await theirs.seesNothing('response');
  assert.equal((await theirs.tells(eve, 'still alive')).seq, 1);
});

test('with catchUp: false nothing old comes, and live messages at once', async () => {
  const { bob, phone } = await adaHasWritten(3);
  const laptop = await bob.connect({ auth: { catchUp: false } });
  await phone.tells(bob, 'live');
  assert.equal((await laptop.seesMessage('live')).seq, 4);
  assert.equal(laptop.messages().length, 1);
});

test('with catchUp: false, acknowledging a live message does not swallow the old ones', async () => {
  const { bob, phone, roomId } = await adaHasWritten(3);
  const laptop = await bob.connect({ auth: { catchUp: false } });
  await phone.tells(bob, 'live');
  await laptop.seesMessage('live');
  await phone.seesNothing(UPDATE);
  laptop.close();
  const again = await bob.connect();
  await again.seesMany('response', 4);
  assert.deepEqual(seqs(again, roomId), seqsTo(4));
});

test('a live message waits its turn behind the old ones', async () => {
  const { bob, phone, roomId } = await adaHasWritten(30);
  const laptop = bob.dial();
  for (let i = 31; i <= 60; i++) await phone.tells(bob, `message ${i}`);
  await laptop.seesMany('response', 60);
  assert.deepEqual(seqs(laptop, roomId), seqsTo(60));
});

test('a client with a function for auth reconnects by itself and gets exactly what it missed', async (t) => {
  const { bob, phone } = await adaHasWritten(2);
  const line = await Line.to(server, t);
  const since = {};
  const laptop = bob.dial({ at: line.url, transports: ['websocket'], auth: (give) => give({ token: bob.token, since }) });
  laptop.socket.on('response', ({ response }) => (since[response.roomId] = response.seq));
  await laptop.seesMany('response', 2);

  for (let round = 1; round <= 3; round++) {
    line.breaks();
    await laptop.disconnects();
    for (let i = 1; i <= 4; i++) await phone.tells(bob, `round ${round}, message ${i}`);
    laptop.forgets();
    line.works();
    await phone.tells(bob, `round ${round}, live or not`);
    await laptop.seesMessage(`round ${round}, live or not`);
    const [roomId] = Object.keys(since);
    assert.deepEqual(seqs(laptop, roomId), seqsTo(2 + round * 5, 3 + (round - 1) * 5));
  }
  await laptop.seesNothing('response', 300, ({ response }) => laptop.messages().filter((m) => m.seq === response.seq).length > 1);
});

test('two devices catch up each on its own', async () => {
  const { bob, roomId } = await adaHasWritten(4);
  const [one, two] = [bob.dial({ acks: false, auth: { since: { [roomId]: 1 } } }), bob.dial({ acks: false, auth: { since: { [roomId]: 3 } } })];
  await Promise.all([one.seesMany('response', 3), two.seesMany('response', 1)]);
  assert.deepEqual(seqs(one, roomId), [2, 3, 4]);
  assert.deepEqual(seqs(two, roomId), [4]);
});

test('a nonsensical since is refused or does no harm', async () => {
  const { bob, roomId } = await adaHasWritten(1);
  for (const since of [42, 'x', [1], { [roomId]: 'x' }, { [roomId]: -1 }, { [roomId]: 1.5 }, { [roomId]: null }]) {
    const laptop = bob.dial({ acks: false, auth: { since } });
    const { event, data } = await laptop.isAnswered();
    if (event === 'connect_error') assert.match(data.message, /^bad_request: ./);
    else await laptop.does('listRooms', {});
    laptop.close();
  }
});

// A room with only oneself in it: notes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, assertMessage } from './harness.mjs';

const server = await Server.start();

test('one can write to oneself, and sees it once on every tab', async () => {
  const ada = await server.person('ada');
  const [phone, laptop] = await Promise.all([ada.connect(), ada.connect()]);
  const note = await phone.tells(ada, 'buy milk');
  assertMessage(note);
  assert.deepEqual([note.sender, note.receiver, note.group, note.seq], [ada.username, ada.username, false, 1]);
  for (const tab of [phone, laptop]) {
    await tab.seesMessage('buy milk');
    await tab.seesNothing('response', 300, (e) => e.response.messageId !== note.messageId);
    assert.equal(tab.messages().length, 1);
  }
});

test('a note is delivered when a tab of its only member acknowledged it', async () => {
  const ada = await server.person('ada');
  const phone = await ada.connect();
  const note = await phone.tells(ada, 'buy milk');
  const update = await phone.sees('updateDeliveryStatusOnConnection');
  assert.equal(update.response.messageId, note.messageId);
  assert.equal(update.response.deliveredToAll, true);
});

test('notes have their history and stand among the rooms', async () => {
  const ada = await server.person('ada');
  const phone = await ada.connect();
  await phone.tells(ada, 'one');
  await phone.tells(ada, 'two');
  const { messages } = await phone.does('history', { receiver: ada.username, group: false });
  assert.deepEqual(messages.map((message) => message.content), ['one', 'two']);
  const [room] = await phone.does('listRooms', {});
  assert.equal(room.kind, 'direct');
  assert.equal(room.peer.username, ada.username);
});

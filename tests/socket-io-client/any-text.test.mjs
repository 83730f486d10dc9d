// Content may hold any JSON string and comes back unchanged.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, brief } from './harness.mjs';

const server = await Server.start();

const texts = {
  'U+0000 in the middle': 'a\u0000b',
  'U+0000 alone': '\u0000',
  'all control characters': Array.from({ length: 32 }, (_, i) => String.fromCharCode(i)).join('') + '\u007f\u0080\u009f',
  'a 4-byte emoji': 'hello 😀',
  'emoji joined to a family': '👩‍👩‍👧‍👦 🏳️‍🌈',
  'right to left and combining marks': 'שלום مرحبا e\u0301\u0323 \u202eabc',
  'line ends of every kind': 'a\nb\r\nc\u2028d\u2029e\u0085f',
  'a byte order mark and non-characters': '\ufeffx\ufffe\uffff\u{10ffff}',
  'quotes and backslashes': `'; DROP TABLE message; -- " \\ \\u0000 \${x} %s`,
  'markup': '<img src=x onerror=alert(1)>&amp;&#0;',
  'what looks like JSON': '{"success":true}',
  'what looks like an attachment': '{"_placeholder":true,"num":0}',
  'spaces around': '  \t x \n ',
};

for (const [name, text] of Object.entries(texts)) {
  test(`${name}: unchanged in the ack, the event, the history, the list and over HTTP`, async () => {
    const [ada, bob] = await server.people('ada', 'bob');
    const [phone, laptop] = await Promise.all([ada.connect(), bob.connect()]);
    const sent = await phone.tells(bob, text, { clientMessageId: `id of ${name}` });
    assert.equal(sent.content, text);
    await laptop.seesMessage(text);
    const { messages } = await laptop.does('history', { receiver: ada.username, group: false });
    assert.equal(messages[0].content, text);
    const [room] = await laptop.does('listRooms', {});
    assert.equal(room.lastMessage.content, text);
    const http = await bob.request('GET', `/api/rooms/${sent.roomId}/messages`);
    assert.equal(http.body.messages[0].content, text);
    const later = await bob.connect({ auth: { since: { [sent.roomId]: 0 } } });
    await later.seesMessage(text);
  });
}

test('U+0000 in encrypted content comes back as well, in keys too', async () => {
  const ada = await server.person('ada');
  const phone = await ada.connect();
  const content = { 'a\u0000b': ['\u0000', '😀'] };
  const sent = await phone.tells(ada, content, { kind: 'encrypted' });
  assert.deepEqual(sent.content, content);
  const { messages } = await phone.does('history', { receiver: ada.username, group: false });
  assert.deepEqual(messages[0].content, content);
});

test('U+0000 in names and ids is answered, one way or the other', async () => {
  const ada = await server.person('ada');
  const phone = await ada.connect();
  for (const [event, payload] of [
    ['createGroup', { groupName: 'a\u0000b' }],
    ['joinGroup', { groupName: 'a\u0000b' }],
    ['privateMessage', { receiver: 'a\u0000b', content: 'hi' }],
    ['groupMessage', { receiver: 'a\u0000b', content: 'hi' }],
    ['privateMessage', { receiver: ada.username, content: 'hi', clientMessageId: 'a\u0000b' }],
    ['history', { receiver: 'a\u0000b', group: false }],
    ['updateGroup', { groupId: 'a\u0000b', groupName: 'x' }],
  ]) {
    const answer = await phone.asks(event, payload);
    if (!answer.success) assert.ok(['bad_request', 'not_found', 'not_a_member'].includes(answer.error.code), `${event} ${brief(payload)}: ${brief(answer)}`);
  }
});

test('lone surrogates come back as they were or are a bad_request; the socket lives', async () => {
  const ada = await server.person('ada');
  const phone = await ada.connect();
  for (const content of ['\ud800', 'a\udc00b', '\udc00\ud800', 'x\ud83d']) {
    const answer = await phone.asks('privateMessage', { receiver: ada.username, content });
    if (answer.success) assert.equal(answer.response.content, content);
    else assert.equal(answer.error.code, 'bad_request', brief(answer));
  }
  await phone.tells(ada, 'alive');
});

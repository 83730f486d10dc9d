// Whatever a client sends: a clear error, nothing stored, the socket alive.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Server, assertError, brief } from './harness.mjs';

const server = await Server.start({ settings: { LIMITS__EVENTS_PER_SECOND: 10_000, LIMITS__EVENTS_BURST: 10_000 } });

const HUGE = 'x'.repeat(17 * 1024);
const NO_PAYLOAD = Symbol('no payload');
const NOBODY = '0190a000-0000-7000-8000-000000000000';
/** Nothing of this is a payload of any event that has required fields. */
const NOT_A_PAYLOAD = [NO_PAYLOAD, null, 'text', 42, true, [], [{}], {}].map((payload) => [payload]);
const NOT_A_STRING = [42, null, true, {}, []];
const NOT_A_SEQ = [NaN, -1, 1.5, 1e300, '1', true, {}, [1], null];

let ada, bob, group;

before(async () => {
  [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  group = await phone.does('createGroup', { groupName: 'the group', users: [bob.username], password: 'open sesame' });
  await phone.tells(bob, 'stored');
  await phone.tellsGroup(group, 'stored');
});

/** Each case is `[payload, ...codes]`; without codes it is bad_request. */
const table = {
  privateMessage: () => message(bob.username, [
    [{ receiver: 'nobody-of-that-name', content: 'hi' }, 'not_found'],
    [{ receiver: HUGE, content: 'hi' }, 'bad_request', 'too_large', 'not_found'],
  ]),
  groupMessage: () => message(group.groupId, [
    [{ receiver: NOBODY, content: 'hi' }, 'not_found', 'not_a_member'],
    [{ receiver: 'no id at all', content: 'hi' }, 'bad_request', 'not_found', 'not_a_member'],
    [{ receiver: HUGE, content: 'hi' }, 'bad_request', 'too_large', 'not_found', 'not_a_member'],
  ]),
  lobbyMessage: () => [
    ...NOT_A_PAYLOAD,
    [['hi']],
    ...NOT_A_STRING.map((content) => [{ content }]),
    [{ content: HUGE }, 'too_large'],
    [{ content: 'hi', clientMessageId: 42 }],
  ],
  createGroup: () => [
    ...NOT_A_PAYLOAD,
    [['a name', [], 'a password']],
    ...NOT_A_STRING.map((groupName) => [{ groupName }]),
    [{ groupName: '' }],
    [{ groupName: HUGE }, 'bad_request', 'too_large'],
    ...['bob', 42, {}, [42], [null], [{}], [{ username: 42 }], [[]]].map((users) => [{ groupName: 'bad users', users }]),
    ...[42, true, {}, []].map((password) => [{ groupName: 'bad password', password }]),
    [{ groupName: 'huge password', password: HUGE.repeat(4) }, 'bad_request', 'too_large'],
    [{ groupId: 42 }],
    [{ groupId: NOBODY }, 'not_found', 'not_a_member'],
    [{ groupId: 'no id at all' }, 'bad_request', 'not_found'],
  ],
  joinGroup: () => [
    ...NOT_A_PAYLOAD,
    ...[42, true, {}, []].map((groupId) => [{ groupId }]),
    ...[42, true, {}, []].map((groupName) => [{ groupName }]),
    [{ password: 'open sesame' }],
    [{ groupId: NOBODY }, 'not_found'],
    [{ groupId: 'no id at all' }, 'bad_request', 'not_found'],
    [{ groupName: HUGE }, 'bad_request', 'too_large', 'not_found'],
  ],
  leaveGroup: () => [
    ...NOT_A_PAYLOAD,
    ...NOT_A_STRING.map((groupId) => [{ groupId }]),
    [{ groupId: NOBODY }, 'not_found', 'not_a_member'],
    [{ groupId: 'no id at all' }, 'bad_request', 'not_found', 'not_a_member'],
  ],
  updateGroup: () => [
    ...NOT_A_PAYLOAD,
    ...NOT_A_STRING.map((groupId) => [{ groupId, groupName: 'x' }]),
    ...[42, true, {}, []].map((groupName) => [{ groupId: group.groupId, groupName }]),
    ...[42, true, {}, []].map((password) => [{ groupId: group.groupId, password }]),
    [{ groupId: group.groupId, groupName: '' }],
    [{ groupId: group.groupId, groupName: HUGE }, 'bad_request', 'too_large'],
    [{ groupId: NOBODY, groupName: 'x' }, 'not_found', 'not_a_member', 'forbidden'],
  ],
  deleteGroup: () => [
    ...NOT_A_PAYLOAD,
    ...NOT_A_STRING.map((groupId) => [{ groupId }]),
    [{ groupId: NOBODY }, 'not_found', 'not_a_member', 'forbidden'],
  ],
  addMembers: () => [
    ...NOT_A_PAYLOAD,
    [{ groupId: group.groupId }],
    [{ users: [bob.username] }],
    ...['bob', 42, {}, null, [42], [null], [{}]].map((users) => [{ groupId: group.groupId, users }]),
  ],
  removeMember: () => [
    ...NOT_A_PAYLOAD,
    [{ groupId: group.groupId }],
    [{ username: bob.username }],
    ...NOT_A_STRING.map((username) => [{ groupId: group.groupId, username }]),
    [{ groupId: group.groupId, username: 'nobody-of-that-name' }, 'not_found', 'not_a_member'],
  ],
  history: () => [
    ...NOT_A_PAYLOAD,
    [{ receiver: bob.username }],
    [{ group: false }],
    ...NOT_A_STRING.map((receiver) => [{ receiver, group: false }]),
    ...['no', 0, {}, null].map((no) => [{ receiver: bob.username, group: no }]),
    ...['ten', -1, 1.5, 1e300, {}, true].flatMap((bad) => [
      [{ receiver: bob.username, group: false, limit: bad }],
      [{ receiver: bob.username, group: false, before: bad }],
      [{ receiver: bob.username, group: false, after: bad }],
    ]),
    [{ receiver: NOBODY, group: true }, 'not_found', 'not_a_member'],
    [{ lobby: 'yes' }],
  ],
  markRead: () => [
    ...NOT_A_PAYLOAD,
    [{ receiver: bob.username, group: false }],
    [{ receiver: bob.username, seq: 1 }],
    [{ group: false, seq: 1 }],
    ...NOT_A_SEQ.map((seq) => [{ receiver: bob.username, group: false, seq }]),
    ...NOT_A_STRING.map((receiver) => [{ receiver, group: false, seq: 1 }]),
    [{ receiver: 'nobody-of-that-name', group: false, seq: 1 }, 'not_found'],
  ],
  delivered: () => [
    ...NOT_A_PAYLOAD,
    [{ roomId: group.groupId }],
    [{ seq: 1 }],
    ...NOT_A_SEQ.map((seq) => [{ roomId: group.groupId, seq }]),
    ...NOT_A_SEQ.map((seq) => [{ rooms: { [group.groupId]: seq } }]),
    ...[42, 'x', null, [], [1]].map((rooms) => [{ rooms }]),
    [{ roomId: 42, seq: 1 }],
    [{ roomId: 'no id at all', seq: 1 }, 'bad_request', 'not_found', 'not_a_member'],
    [{ roomId: NOBODY, seq: 1 }, 'not_found', 'not_a_member'],
  ],
  typing: () => [
    ...NOT_A_PAYLOAD,
    [{ receiver: bob.username, group: false }],
    ...['yes', 1, null, {}].map((typing) => [{ receiver: bob.username, group: false, typing }]),
    ...NOT_A_STRING.map((receiver) => [{ receiver, group: false, typing: true }]),
    [{ receiver: 'nobody-of-that-name', group: false, typing: true }, 'not_found'],
  ],
  refreshToken: () => [
    ...NOT_A_PAYLOAD,
    ...NOT_A_STRING.map((token) => [{ token }]),
    [{ token: 'nonsense' }, 'token_invalid'],
    [{ token: HUGE }, 'token_invalid', 'bad_request', 'too_large'],
  ],
  ...Object.fromEntries(
    ['noSuchEvent', 'response', 'token-expired', '__proto__', '', 'x'.repeat(2_000), 'privatemessage', 'disconnecting ']
      .map((event) => [event, () => [{}, null, NO_PAYLOAD, 'text'].map((payload) => [payload, 'not_found', 'bad_request'])]),
  ),
};

/** What privateMessage and groupMessage have in common. */
function message(receiver, more) {
  return [
    ...NOT_A_PAYLOAD,
    [[receiver, 'hi']],
    [{ receiver }],
    [{ content: 'hi' }],
    ...NOT_A_STRING.map((bad) => [{ receiver: bad, content: 'hi' }]),
    ...NOT_A_STRING.map((content) => [{ receiver, content }]),
    [{ receiver, content: Buffer.from('binary') }],
    ...['system', 'weird', '', 'TEXT', 42, {}, []].map((kind) => [{ receiver, content: 'hi', kind }, 'bad_request', 'forbidden']),
    ...[42, true, {}, []].map((clientMessageId) => [{ receiver, content: 'hi', clientMessageId }]),
    [{ receiver, content: 'hi', clientMessageId: HUGE }, 'bad_request', 'too_large'],
    ...[42, true, {}, [], 'no id at all'].map((replyTo) => [{ receiver, content: 'hi', replyTo }, 'bad_request', 'not_found']),
    [{ receiver, content: HUGE }, 'too_large'],
    [{ receiver, content: [HUGE], kind: 'encrypted' }, 'too_large'],
    ...more,
  ];
}

for (const [event, cases] of Object.entries(table)) {
  test(`${brief(event, 40)}: bad payloads are refused with a clear error, and the socket lives`, async () => {
    const phone = await ada.connect({ patience: 3_000 });
    const wrong = [];
    for (const [payload, ...codes] of cases()) {
      const allowed = codes.length ? codes : ['bad_request'];
      const shown = payload === NO_PAYLOAD ? 'no payload' : brief(payload, 100);
      try {
        const answer = await phone.asks(event, ...(payload === NO_PAYLOAD ? [] : [payload]));
        assert.equal(answer?.success, false, `${brief(answer)}`);
        assert.deepEqual(Object.keys(answer).sort(), ['error', 'success']);
        assertError(answer.error);
        assert.ok(allowed.includes(answer.error.code), `${allowed.join(' or ')} expected: ${brief(answer)}`);
      } catch (error) {
        wrong.push(`${shown}: ${error.message.split('\n')[0]}`);
      }
      if (!phone.socket.connected) {
        wrong.push(`${shown}: the connection was lost`);
        break;
      }
    }
    assert.deepEqual(wrong, []);
  });
}

test('events with bad payloads and no callback do no harm either', async () => {
  const phone = await ada.connect();
  for (const event of Object.keys(table)) {
    for (const payload of [null, 'text', 42, {}, [[]]]) phone.socket.emit(event, payload);
  }
  assert.equal((await phone.asks('listRooms', {})).success, true);
});

test('more arguments than one are no reason to lose the acknowledgement', async () => {
  const phone = await ada.connect();
  const answer = await phone.asks('privateMessage', { receiver: 42 }, 'and', ['more']);
  assert.equal(answer.success, false);
});

test('JSON that is nested 10,000 deep is refused, and the socket lives', async () => {
  const phone = await ada.connect({ transports: ['websocket'] });
  const deep = '['.repeat(10_000) + ']'.repeat(10_000);
  const objects = '{"a":'.repeat(10_000) + '1' + '}'.repeat(10_000);
  for (const json of [
    `["privateMessage",${deep}]`,
    `["privateMessage",{"receiver":"${bob.username}","content":${deep},"kind":"encrypted"}]`,
    `["privateMessage",{"receiver":"${bob.username}","content":${deep}}]`,
    `["privateMessage",{"receiver":${objects},"content":"hi"}]`,
    `["noSuchEvent",${deep}]`,
  ]) {
    const answer = await phone.asksRaw(json);
    assert.equal(answer.success, false, brief(answer));
    assertError(answer.error);
  }
  assert.equal(phone.socket.connected, true);
});

test('encrypted content within the limit, but nested deeply, comes back as it was or is refused', async () => {
  const phone = await ada.connect({ transports: ['websocket'] });
  for (const depth of [100, 127, 128, 500, 5_000]) {
    const content = '['.repeat(depth) + ']'.repeat(depth);
    const answer = await phone.asksRaw(`["privateMessage",{"receiver":"${ada.username}","content":${content},"kind":"encrypted"}]`);
    if (answer.success) assert.ok(phone.received.some((text) => text.includes(content)), `depth ${depth}`);
    else assert.equal(answer.error.code, 'bad_request', `depth ${depth}: ${brief(answer)}`);
  }
});

test('a message of kind "system" cannot be made, whatever else it holds', async () => {
  const phone = await ada.connect();
  for (const [event, receiver] of [['privateMessage', bob.username], ['groupMessage', group.groupId]]) {
    const payload = { receiver, content: 'the server will be shut down', kind: 'system', sender: 'system' };
    await phone.isRefused(event, payload, 'bad_request', 'forbidden');
  }
});

test('after all of that nothing was stored and nothing has changed', async () => {
  const phone = await ada.connect({ auth: { catchUp: false } });
  const direct = await phone.does('history', { receiver: bob.username, group: false });
  assert.deepEqual(direct.messages.map((m) => m.content), ['stored']);
  const grouped = await phone.does('history', { receiver: group.groupId, group: true });
  assert.deepEqual(grouped.messages.map((m) => m.content), ['stored']);
  const lobby = await phone.does('history', { lobby: true });
  assert.deepEqual(lobby.messages, []);
  const groups = await phone.does('listGroups', {});
  assert.deepEqual(groups.map((g) => [g.groupName, g.memberCount, g.hasPassword]), [['the group', 2, true]]);
  assert.equal((await phone.tells(bob, 'next')).seq, 2);
  phone.close();
});

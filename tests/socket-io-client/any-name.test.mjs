// Whatever name sign-up takes works everywhere; what it does not take is a bad_request.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Person, Server, assertProblem, brief } from './harness.mjs';

const server = await Server.start();

const names = [
  'ada lovelace', ' spaces around ', 'ада лавлейс', '😀😀😀', 'a/b/c', 'a%2Fb', '../../etc', 'a?b=c', 'a#b', 'a+b', 'a&b',
  'ada@example.org', "o'hara", 'say "hi"', 'back\\slash', 'nul\u0000nul', 'line\nbreak', 'e\u0301e\u0301e\u0301', 'ﬁﬁﬁ',
  'mine', 'me.', 'login', 'undefined', 'null', 'true', '123', '1e3', '__proto__', 'constructor', 'toString',
  '0190a000-0000-7000-8000-000000000000', '<b>x</b>', '$where', '%s%s%s', '___', '%%%', 'x'.repeat(64), 'ж'.repeat(64),
];

for (const name of names) {
  test(`${brief(name, 30)}`, async () => {
    const person = new Person(server, name);
    const answer = await server.request('POST', '/api/users', { username: name, password: person.password });
    if (answer.status !== 201) return assertProblem(answer, 400, 'bad_request');
    const { username } = answer.body;
    const shown = name.normalize('NFC');
    assert.equal(username, shown, 'a name is taken as it is or not at all');
    await person.logsIn();
    const found = await person.request('GET', `/api/users/${encodeURIComponent(name)}`);
    assert.deepEqual([found.status, found.body?.username], [200, shown], found.text);
    const ada = await server.person('ada');
    const [phone, theirs] = await Promise.all([ada.connect(), person.connect()]);
    await phone.tells(person, 'hello');
    assert.equal((await theirs.seesMessage('hello')).receiver, shown);
    await theirs.tells(ada, 'hello back');
    assert.equal((await phone.seesMessage('hello back')).sender, shown);
    const { messages } = await phone.does('history', { receiver: name, group: false });
    assert.equal(messages.length, 2);
    const group = await phone.does('createGroup', { groupName: `with ${ada.username}`, users: [name] });
    assert.equal(group.memberCount, 2);
    await phone.does('removeMember', { groupId: group.groupId, username: name });
    const again = await server.request('POST', '/api/users', { username: name, password: person.password });
    assertProblem(again, 409, 'conflict');
  });
}

test('names of people, profiles and passwords may hold anything', async () => {
  const odd = 'ü😀 \u202e\\"\'<%_\n';
  for (const more of [
    { firstName: odd, lastName: odd },
    { profile: { text: odd, list: [1, null, { deep: true }] } },
    { firstName: 'nul\u0000nul' },
    { profile: { text: 'nul\u0000nul' } },
    { profile: { 'nul\u0000key': 1 } },
    { password: `${odd} is my password` },
    { password: `${'long '.repeat(30)}a` },
    { password: 'nul\u0000nul nul' },
  ]) {
    const username = `ada${Math.random().toString(36).slice(2, 10)}`;
    const password = more.password ?? 'long enough for anyone';
    const made = await server.request('POST', '/api/users', { username, ...more, password });
    if (made.status !== 201) {
      assertProblem(made, 400, 'bad_request');
      continue;
    }
    for (const field of ['firstName', 'lastName', 'profile']) if (field in more) assert.deepEqual(made.body[field], more[field]);
    const login = (tried) => server.request('POST', '/api/auth/login', { username, password: tried });
    assert.equal((await login(password)).status, 200, brief(more));
    assert.equal((await login(`${password.slice(0, -1)}b`)).status, 401, 'the last character counts');
  }
});

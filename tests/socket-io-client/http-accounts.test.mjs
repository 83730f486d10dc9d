// Signing up, logging in, and accounts over HTTP.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Server, assertProblem, assertUser, decoded, tampered } from './harness.mjs';

const server = await Server.start();
const password = 'a password that is long enough';
const unique = (name) => name + randomBytes(4).toString('hex');
const login = (body) => server.request('POST', '/api/auth/login', body);

test('sign-up answers 201 with the User and nothing of the password', async () => {
  const username = unique('ada');
  const answer = await server.request('POST', '/api/users', {
    username, password, firstName: 'Ada', lastName: 'Lovelace', email: 'ada@example.org', profile: { img: 'ada.png' },
  });
  assert.equal(answer.status, 201, answer.text);
  assert.match(answer.headers.get('content-type'), /^application\/json/);
  const { email, phone, ...user } = answer.body;
  assertUser(user);
  assert.deepEqual([user.username, user.firstName, user.lastName, user.isOnline], [username, 'Ada', 'Lovelace', false]);
  assert.deepEqual(user.profile, { img: 'ada.png' });
  assert.doesNotMatch(answer.text, /argon2|hash|password/i);
});

test('the first name falls back to the username', async () => {
  const username = unique('ada');
  const answer = await server.request('POST', '/api/users', { username, password });
  assert.equal(answer.body.firstName, username);
});

test('a username that is taken is 409 conflict', async () => {
  const ada = await server.person('ada');
  assertProblem(await server.request('POST', '/api/users', { username: ada.username, password }), 409, 'conflict');
});

test('a username is taken once even if many want it at the same moment', async () => {
  const username = unique('ada');
  const answers = await Promise.all(Array.from({ length: 5 }, () => server.request('POST', '/api/users', { username, password })));
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [201, 409, 409, 409, 409]);
});

test('a bad sign-up is 400 bad_request', async () => {
  for (const body of [
    {}, [], null, 42, 'text',
    { username: unique('ada') },
    { password },
    { username: 42, password },
    { username: unique('ada'), password: 42 },
    { username: unique('ada'), password: null },
    { username: 'ab', password },
    { username: '', password },
    { username: 'x'.repeat(65), password },
    { username: unique('ada'), password: 'short' },
    { username: unique('ada'), password: '' },
    { username: unique('ada'), password, firstName: 42 },
    { username: unique('ada'), password, email: {} },
  ]) {
    const answer = await server.request('POST', '/api/users', JSON.stringify(body));
    assert.equal(answer.status, 400, `${JSON.stringify(body)}: ${answer.status} ${answer.text}`);
    assertProblem(answer, 400, 'bad_request');
  }
  for (const text of ['', '{', '{"username":', 'username=x', '\u0000', '{"a":'.repeat(5_000)]) {
    assertProblem(await server.request('POST', '/api/users', text), 400, 'bad_request');
  }
});

test('nobody makes oneself an administrator or chooses an id', async () => {
  const username = unique('eve');
  const answer = await server.request('POST', '/api/users', { username, password, role: 'admin', isAdmin: true, admin: true, id: 'x' });
  if (answer.status === 400) return;
  assert.equal(answer.status, 201);
  assert.notEqual(answer.body.id, 'x');
  const [ada] = await server.people('ada');
  const { body } = await login({ username, password });
  const theirs = await server.request('DELETE', `/api/users/${ada.username}`, undefined, { authorization: `Bearer ${body.token}` });
  assertProblem(theirs, 403, 'forbidden');
});

test('login answers with token, jwtToken, expiresAt and user, the header auth-token and a safe cookie', async () => {
  const ada = await server.person('ada');
  const answer = await login({ username: ada.username, password: ada.password });
  assert.equal(answer.status, 200);
  const { token, jwtToken, expiresAt, user } = answer.body;
  assert.equal(jwtToken, token);
  assert.equal(answer.headers.get('auth-token'), token);
  assert.equal(Math.floor(Date.parse(expiresAt) / 1_000), decoded(token).claims.exp);
  assert.ok(Math.abs(Date.parse(expiresAt) - Date.now() - 3_600_000) < 60_000, 'an hour by default');
  assert.equal(user.username, ada.username);
  assert.doesNotMatch(JSON.stringify(user), /argon2|hash|password/i);
  const cookie = answer.headers.getSetCookie().find((line) => line.startsWith('chatToken='));
  const [value, ...attributes] = cookie.split(/; */);
  assert.equal(value, `chatToken=${token}`);
  const flags = attributes.map((attribute) => attribute.toLowerCase());
  assert.ok(flags.includes('httponly'), cookie);
  assert.ok(flags.includes('samesite=lax'), cookie);
  assert.ok(!flags.includes('secure'), 'without TLS a Secure cookie would not come back');
});

test('userID may stand for username', async () => {
  const ada = await server.person('ada');
  assert.equal((await login({ userID: ada.username, password: ada.password })).status, 200);
});

test('a token is signed with HS256 and has its own typ', async () => {
  const ada = await server.person('ada');
  const { header } = decoded(ada.token);
  assert.equal(header.alg, 'HS256');
  assert.ok(header.typ && header.typ.toLowerCase() !== 'none');
});

test('a wrong password and an unknown user are the same to the outside', async () => {
  const ada = await server.person('ada');
  const wrong = await login({ username: ada.username, password: 'not her password' });
  const unknown = await login({ username: unique('nobody'), password: 'not her password' });
  assertProblem(wrong, 401, 'unauthorized');
  const bare = ({ status, headers, body: { requestId, instance, ...body } }) => {
    const names = [...headers.keys()].filter((name) => !/date|request-id|content-length/.test(name)).sort();
    return { status, names, body };
  };
  assert.deepEqual(bare(unknown), bare(wrong));
  assert.doesNotMatch(wrong.text + unknown.text, new RegExp(ada.username));
});

test('a login without the needed fields is bad_request', async () => {
  for (const body of [{}, { username: 'x' }, { password }, { username: 42, password }, { username: ['a'], password }, []]) {
    assertProblem(await login(body), 400, 'bad_request');
  }
});

test('without a token: 401 token_missing; with a bad one: token_invalid', async () => {
  const ada = await server.person('ada');
  for (const path of ['/api/users', '/api/rooms', '/api/rooms/mine', '/api/auth/session', `/api/users/${ada.username}`]) {
    assertProblem(await server.request('GET', path), 401, 'token_missing');
    assertProblem(await server.request('GET', path, undefined, { authorization: `Bearer ${tampered(ada.token)}` }), 401, 'token_invalid');
    const cookie = `chatToken=${ada.token}`;
    assert.equal((await server.request('GET', path, undefined, { cookie })).status, 200, 'the cookie is enough');
    assertProblem(await server.request('GET', path, undefined, { cookie, authorization: 'Bearer nonsense' }), 401, 'token_invalid');
  }
});

test('GET /api/auth/session says who I am and until when', async () => {
  const ada = await server.person('ada');
  const { status, text } = await ada.request('GET', '/api/auth/session');
  assert.equal(status, 200);
  assert.match(text, new RegExp(ada.username));
  assert.match(text, /"expiresAt":"\d{4}-/);
});

test('a refresh gives a new token that works; the old one lives on until its time', async () => {
  const ada = await server.person('ada');
  const token = await ada.refreshesToken();
  assert.equal((await server.request('GET', '/api/users', undefined, { authorization: `Bearer ${token}` })).status, 200);
});

test('users are seen without email, by username and by id; unknown ones are 404', async () => {
  const ada = await server.person('ada', { email: 'ada@example.org', phone: '+44 1' });
  const bob = await server.person('bob');
  for (const key of [ada.username, ada.id]) {
    const answer = await bob.request('GET', `/api/users/${key}`);
    assert.equal(answer.status, 200);
    assertUser(answer.body);
    assert.equal(answer.body.username, ada.username);
    assert.doesNotMatch(answer.text, /example\.org/);
    assert.equal((await ada.request('GET', `/api/users/${key}`)).body.email, 'ada@example.org', 'oneself sees it');
  }
  assertProblem(await bob.request('GET', `/api/users/${unique('nobody')}`), 404, 'not_found');
  const list = await bob.request('GET', `/api/users?search=${ada.username}`);
  assert.equal(list.status, 200);
  assert.match(list.text, new RegExp(ada.username));
  assert.doesNotMatch(list.text, new RegExp(`example\\.org|argon2|${bob.username}`));
});

test('one changes oneself, not others', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const changed = await ada.request('PATCH', `/api/users/${ada.username}`, { firstName: 'Augusta' });
  assert.equal(changed.status, 200, changed.text);
  assert.equal(changed.body.firstName, 'Augusta');
  assert.equal((await bob.request('GET', `/api/users/${ada.username}`)).body.firstName, 'Augusta');
  for (const method of ['PATCH', 'PUT']) {
    assertProblem(await bob.request(method, `/api/users/${ada.username}`, { firstName: 'Hacked' }), 403, 'forbidden');
  }
  assertProblem(await bob.request('DELETE', `/api/users/${ada.username}`), 403, 'forbidden');
  assert.equal((await bob.request('GET', `/api/users/${ada.username}`)).body.firstName, 'Augusta');
});

test('the process is up and ready', async () => {
  for (const path of ['/healthz', '/readyz']) assert.equal((await server.request('GET', path)).status, 200, path);
});

test('a path that does not exist is a problem as well', async () => {
  const ada = await server.person('ada');
  assertProblem(await ada.request('GET', '/api/no-such-thing'), 404, 'not_found');
});

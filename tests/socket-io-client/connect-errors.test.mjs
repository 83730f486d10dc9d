// A refusal is a connect_error: the code, a colon and a sentence.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, decoded, forged, tampered, until } from './harness.mjs';

const server = await Server.start();
const withToken = (token) => ({ auth: { token } });

test('without a credential: token_missing', async () => {
  for (const transport of ['polling', 'websocket']) {
    assert.match(await server.refuses({ transports: [transport] }), /^token_missing: \S.*\s/);
  }
  assert.match(await server.refuses({ auth: {} }), /^token_missing: /);
  assert.match(await server.refuses({ auth: { since: {}, catchUp: false } }), /^token_missing: /);
});

test('with something that is no token: token_invalid', async () => {
  for (const token of ['nonsense', 'a.b.c', '....', 'x'.repeat(20_000), '\u0000', 'Bearer x']) {
    assert.match(await server.refuses(withToken(token)), /^token_invalid: \S.*\s/);
  }
});

test('with a token of the wrong type: refused by a code of the list', async () => {
  for (const token of [42, true, {}, ['x'], { $ne: null }]) {
    assert.match(await server.refuses(withToken(token)), /^(token_invalid|bad_request): /);
  }
});

test('with a changed signature: token_invalid', async () => {
  const ada = await server.person('ada');
  assert.match(await server.refuses(withToken(tampered(ada.token))), /^token_invalid: /);
});

test('with a token that somebody else signed: token_invalid', async () => {
  const ada = await server.person('ada');
  const token = forged(ada.token, { secret: 'some other secret of at least 32 bytes' });
  assert.match(await server.refuses(withToken(token)), /^token_invalid: /);
});

test('with an unsigned token ("alg": "none"): token_invalid', async () => {
  const ada = await server.person('ada');
  for (const alg of ['none', 'None', 'NONE', '']) {
    assert.match(await server.refuses(withToken(forged(ada.token, { header: { alg } }))), /^token_invalid: /);
  }
});

test('with another typ than our own: token_invalid', async () => {
  const ada = await server.person('ada');
  const token = forged(ada.token, { header: { typ: 'something-else' }, secret: Server.secret });
  assert.match(await server.refuses(withToken(token)), /^token_invalid: /);
});

test('with a token that is not valid yet: refused', async () => {
  const ada = await server.person('ada');
  const nbf = Math.floor(Date.now() / 1_000) + 3_600;
  const token = forged(ada.token, { claims: { nbf }, secret: Server.secret });
  assert.match(await server.refuses(withToken(token)), /^token_invalid: /);
});

test('after its time: token_expired, and the sentence says since when', async (t) => {
  const shortLived = await Server.start({ t, settings: { AUTH__TOKEN_TTL: '1s', AUTH__LEEWAY: '0s' } });
  const ada = await shortLived.person('ada');
  const { exp } = decoded(ada.token).claims;
  await until('the token has expired', () => Date.now() > exp * 1_000 + 50);
  assert.match(await shortLived.refuses(withToken(ada.token)), /^token_expired: .*\d{4}-\d\d-\d\dT/);
  assert.match(await shortLived.refuses({ query: { token: ada.token } }), /^token_expired: /);
});

test('after logging out: token_revoked', async () => {
  const ada = await server.person('ada');
  await ada.logsOut();
  assert.match(await server.refuses(withToken(ada.token)), /^token_revoked: \S.*\s/);
});

test('after logging out, a token refreshed before is revoked with its session', async () => {
  const ada = await server.person('ada');
  const refreshed = await ada.refreshesToken();
  await ada.logsOut();
  assert.match(await server.refuses(withToken(refreshed)), /^token_revoked: /);
});

test('after the account was deleted: refused, and no secret in the text', async () => {
  const ada = await server.person('ada');
  const answer = await ada.request('DELETE', `/api/users/${ada.username}`, { currentPassword: ada.password });
  assert.ok(answer.status < 300, answer.text);
  const text = await server.refuses(withToken(ada.token));
  assert.match(text, /^(token_revoked|token_invalid|unauthorized): /);
  assert.ok(!text.includes(ada.token));
});

test('one who was refused gets in with a better token on the same socket', async () => {
  const ada = await server.person('ada');
  const phone = server.dial({ auth: { token: 'nonsense' } });
  assert.equal((await phone.isAnswered()).event, 'connect_error');
  phone.socket.auth = { token: ada.token };
  phone.open();
  await phone.sees('connect');
});

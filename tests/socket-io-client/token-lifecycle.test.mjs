// A login ends when its time has come, with notice; a refreshed token keeps the socket alive.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, decoded, tampered, until } from './harness.mjs';

const TTL = 8_000;
const server = await Server.start({ settings: { AUTH__TOKEN_TTL: '8s', AUTH__LEEWAY: '0s' } });
const expiryOf = (token) => decoded(token).claims.exp * 1_000;

for (const transport of ['websocket', 'polling']) {
  test(`at its time over ${transport}: token-expiring, token-expired, then disconnected by the server`, async () => {
    const ada = await server.person('ada');
    const exp = expiryOf(ada.token);
    const phone = await ada.connect({ transports: [transport] });
    const gone = await phone.seesEntry((e) => e.event === 'disconnect');
    assert.equal(gone.data, 'io server disconnect');
    assert.ok(gone.at >= exp - 200, `disconnected ${gone.at - exp} ms after exp`);
    const order = phone.log.map((e) => e.event).filter((event) => /^(token-|disconnect)/.test(event));
    assert.deepEqual(order, ['token-expiring', 'token-expired', 'disconnect']);
    const told = phone.seen('token-expired')[0];
    assert.deepEqual(Object.keys(told), ['response']);
    assert.match(told.response, /^\S+ \S+/, 'a sentence');
    assert.equal(phone.socket.active, false, 'the stock client does not reconnect by itself');
    assert.match(await server.refuses({ auth: { token: ada.token } }), /^token_expired: /);
  });
}

test('token-expiring comes at connect if less than 60 s are left, and says until when', async () => {
  const ada = await server.person('ada');
  const phone = await ada.connect();
  const { expiresAt } = await phone.sees('token-expiring');
  assert.match(expiresAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal(Math.floor(Date.parse(expiresAt) / 1_000), expiryOf(ada.token) / 1_000);
});

test('token-expiring comes once, as long before as is configured', async (t) => {
  const own = await Server.start({ t, settings: { AUTH__TOKEN_TTL: '5s', AUTH__EXPIRING_NOTICE: '2s', AUTH__LEEWAY: '0s' } });
  const ada = await own.person('ada');
  const exp = expiryOf(ada.token);
  const phone = await ada.connect();
  const notice = await phone.seesEntry((e) => e.event === 'token-expiring');
  const early = exp - notice.at;
  assert.ok(early < 2_800, `${early} ms before exp`);
  await phone.disconnects();
  assert.equal(phone.seen('token-expiring').length, 1);
});

test('a token with an hour to go is not announced', async (t) => {
  const own = await Server.start({ t });
  const ada = await own.person('ada');
  const phone = await ada.connect();
  await phone.seesNothing('token-expiring', 700);
});

test('refreshToken keeps the socket alive past the first exp, until the second', async () => {
  const ada = await server.person('ada');
  const first = expiryOf(ada.token);
  const phone = await ada.connect();
  await until('half the time is over', () => Date.now() > first - TTL / 2);
  const token = await ada.refreshesToken();
  const second = expiryOf(token);
  assert.ok(second > first, 'the new token lives longer');
  const answer = await phone.does('refreshToken', { token });
  assert.equal(Math.floor(Date.parse(answer.expiresAt) / 1_000), second / 1_000);
  await until('the first token is over', () => Date.now() > first + 300);
  assert.deepEqual(phone.seen('token-expired'), []);
  assert.deepEqual(phone.seen('disconnect'), []);
  await phone.tells(ada, 'still here');
  const gone = await phone.seesEntry((e) => e.event === 'disconnect');
  assert.equal(gone.data, 'io server disconnect');
  assert.ok(gone.at >= second - 200, `disconnected ${gone.at - second} ms after the second exp`);
  assert.equal(phone.seen('token-expired').length, 1);
});

test('a refreshToken of somebody else, a spoilt and a revoked one are refused; the socket stays who it is', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  await phone.isRefused('refreshToken', { token: bob.token }, 'forbidden', 'unauthorized', 'token_invalid');
  await phone.isRefused('refreshToken', { token: tampered(ada.token) }, 'token_invalid');
  await phone.isRefused('refreshToken', { token: '' }, 'token_invalid', 'token_missing', 'bad_request');
  const { token } = await bob.logsIn();
  await bob.logsOut(token);
  await phone.isRefused('refreshToken', { token }, 'forbidden', 'unauthorized', 'token_invalid', 'token_revoked');
  assert.equal((await phone.tells(ada, 'who am I?')).sender, ada.username);
  assert.equal(await phone.disconnects(), 'io server disconnect', 'a refused token prolongs nothing');
});

test('an expired socket is heard no more', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  await phone.sees('token-expired');
  phone.socket.emit('privateMessage', { receiver: bob.username, content: 'too late' });
  await phone.disconnects();
  await bob.logsIn();
  const laptop = await bob.connect();
  await laptop.seesNothing('response');
});

test('after the expiry one logs in again, connects on the same socket and catches up', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = ada.dial({ auth: (give) => give({ token: ada.token }) });
  await phone.disconnects();
  await bob.logsIn();
  const laptop = await bob.connect();
  await laptop.tells(ada, 'meanwhile');
  await ada.logsIn();
  phone.open();
  await phone.seesMessage('meanwhile');
});

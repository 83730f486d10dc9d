// How much may be sent at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, until } from './harness.mjs';

const server = await Server.start();
const KIB16 = 16 * 1024;
const MEGABYTE = 1_000_000;

for (const transport of ['polling', 'websocket']) {
  test(`content of exactly 16 KiB passes over ${transport}, one byte more is too_large`, async () => {
    const ada = await server.person('ada');
    const phone = await ada.connect({ transports: [transport] });
    await phone.tells(ada, 'x'.repeat(KIB16));
    await phone.isRefused('privateMessage', { receiver: ada.username, content: 'x'.repeat(KIB16 + 1) }, 'too_large');
    assert.equal((await phone.tells(ada, 'still here')).seq, 2);
  });

  test(`content of 900 kB is too_large over ${transport}, and the socket lives`, async () => {
    const ada = await server.person('ada');
    const phone = await ada.connect({ transports: [transport] });
    await phone.isRefused('privateMessage', { receiver: ada.username, content: 'x'.repeat(900_000) }, 'too_large');
    assert.equal((await phone.tells(ada, 'still here')).seq, 1);
  });
}

test('bytes count, not characters', async () => {
  const ada = await server.person('ada');
  const phone = await ada.connect();
  await phone.tells(ada, '😀'.repeat(KIB16 / 4));
  await phone.isRefused('privateMessage', { receiver: ada.username, content: '😀'.repeat(KIB16 / 4) + 'x' }, 'too_large');
});

test('the limit can be set', async (t) => {
  const small = await Server.start({ t, settings: { LIMITS__CONTENT_BYTES: 100 } });
  const ada = await small.person('ada');
  const phone = await ada.connect();
  await phone.tells(ada, 'x'.repeat(100));
  await phone.isRefused('privateMessage', { receiver: ada.username, content: 'x'.repeat(101) }, 'too_large');
});

test('a packet over 1 MB closes a websocket, stores nothing, and the client reconnects', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect({ transports: ['websocket'] }), bob.connect()]);
  phone.socket.emit('privateMessage', { receiver: bob.username, content: 'x'.repeat(MEGABYTE + 1) });
  assert.match(await phone.disconnects(), /^transport (close|error)$/);
  phone.forgets();
  await phone.sees('connect');
  await laptop.seesNothing('response');
  assert.equal((await phone.tells(bob, 'smaller')).seq, 1);
});

test('a binary attachment over 1 MB closes a websocket too', async () => {
  const ada = await server.person('ada');
  const phone = await ada.connect({ transports: ['websocket'] });
  phone.socket.emit('privateMessage', { receiver: ada.username, content: Buffer.alloc(MEGABYTE + 1) });
  assert.match(await phone.disconnects(), /^transport (close|error)$/);
});

test('a polling request over 1 MB is an HTTP error', async () => {
  const ada = await server.person('ada');
  const open = await server.request('GET', '/socket.io/?EIO=4&transport=polling');
  const path = `/socket.io/?EIO=4&transport=polling&sid=${JSON.parse(open.text.slice(1)).sid}`;
  const joined = await server.request('POST', path, `40/chat,${JSON.stringify({ token: ada.token })}`, { 'content-type': 'text/plain' });
  assert.equal(joined.status, 200);
  const body = `42/chat,${JSON.stringify(['privateMessage', { receiver: ada.username, content: 'x'.repeat(MEGABYTE) }])}`;
  // A server may also hang up in the middle of a request that is too long.
  const answer = await server.request('POST', path, body, { 'content-type': 'text/plain' }).catch((error) => ({ error }));
  assert.ok(answer.error || (answer.status >= 400 && answer.status < 500), `HTTP ${answer.status}`);
});

test('a stock client over polling notices and reconnects', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const [phone, laptop] = await Promise.all([ada.connect({ transports: ['polling'] }), bob.connect()]);
  phone.socket.emit('privateMessage', { receiver: bob.username, content: 'x'.repeat(MEGABYTE + 1) });
  assert.match(await phone.disconnects(), /^transport (close|error)$/);
  phone.forgets();
  await phone.sees('connect');
  await laptop.seesNothing('response');
  await phone.tells(bob, 'smaller');
});

test('an HTTP body that is far too long is too_large', async () => {
  const body = { username: 'x'.repeat(5 * MEGABYTE), password: 'long enough for a password' };
  const answer = await server.request('POST', '/api/users', body).catch((error) => ({ error }));
  if (!answer.error) assert.deepEqual([answer.status, answer.body?.code], [413, 'too_large'], answer.text.slice(0, 300));
  await until('the server is well', async () => (await server.request('GET', '/healthz')).status === 200);
});

test('an early answer to a large body reaches fetch', async () => {
  const body = 'x'.repeat(8 << 20);
  const answers = await Promise.all(
    Array.from({ length: 30 }, async (_, i) => {
      const path = ['/api/users', '/api/rooms', '/api/auth/login'][i % 3];
      const response = await fetch(server.url + path, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
      return `${path} ${response.status}`;
    }),
  );
  assert.deepEqual([...new Set(answers)].sort(), ['/api/auth/login 413', '/api/rooms 401', '/api/users 413']);
});

// Browsers on other origins: those that are configured get in, with cookies; the others do not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, assertProblem } from './harness.mjs';

const HOME = 'https://chat.example.com';
const server = await Server.start({ settings: { CORS__ORIGINS: `${HOME},http://localhost:4200` } });
const STRANGERS = [
  'https://evil.example',
  'https://chat.example.com.evil.example',
  'https://xchat.example.com',
  'http://chat.example.com',
  'https://chat.example.com:8443',
  'null',
];

for (const transport of ['polling', 'websocket']) {
  test(`a page of a configured origin connects over ${transport}`, async () => {
    const ada = await server.person('ada');
    for (const origin of [HOME, 'http://localhost:4200']) {
      const phone = await ada.connect({ transports: [transport], extraHeaders: { origin } });
      await phone.does('listRooms', {});
    }
  });

  test(`a page of any other origin does not, even with a good token, over ${transport}`, async () => {
    const ada = await server.person('ada');
    for (const origin of STRANGERS) {
      const text = await server.refuses({ transports: [transport], auth: { token: ada.token }, extraHeaders: { origin } });
      assert.match(text, /^(xhr poll error|websocket error)$/, `${origin} is stopped before any namespace`);
    }
  });
}

test('a page of a configured origin may log in with cookies and read the header auth-token', async () => {
  const ada = await server.person('ada');
  const body = { username: ada.username, password: ada.password };
  const { status, headers } = await server.request('POST', '/api/auth/login', body, { origin: HOME });
  assert.equal(status, 200);
  assert.equal(headers.get('access-control-allow-origin'), HOME);
  assert.equal(headers.get('access-control-allow-credentials'), 'true');
  assert.match(headers.get('access-control-expose-headers') ?? '', /\bauth-token\b/i);
  assert.match(headers.get('vary') ?? '', /origin/i);
});

test('its preflight requests are answered, for the API and for polling', async () => {
  for (const path of ['/api/rooms', '/socket.io/?EIO=4&transport=polling']) {
    const { status, headers } = await server.request('OPTIONS', path, undefined, {
      origin: HOME,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type',
    });
    assert.ok(status === 200 || status === 204, `${path}: ${status}`);
    assert.equal(headers.get('access-control-allow-origin'), HOME);
    assert.equal(headers.get('access-control-allow-credentials'), 'true');
    assert.match(headers.get('access-control-allow-headers') ?? '', /authorization/i);
    assert.match(headers.get('access-control-allow-methods') ?? '', /POST/);
  }
});

test('a page of another origin is never named in an answer, and its cookie does nothing', async () => {
  const ada = await server.person('ada');
  for (const origin of STRANGERS) {
    const login = await server.request('POST', '/api/auth/login', { username: ada.username, password: ada.password }, { origin });
    assert.equal(login.headers.get('access-control-allow-origin'), null, origin);
    const made = await server.request('POST', '/api/rooms', { groupName: `by ${origin}` }, { origin, cookie: `chatToken=${ada.token}` });
    assertProblem(made, 403, 'forbidden');
  }
});

test('the Host header has no say: a proxy may rewrite it', async () => {
  const ada = await server.person('ada');
  const phone = await ada.connect({ transports: ['polling'], extraHeaders: { origin: HOME, host: 'backend.internal:8087' } });
  await phone.does('listRooms', {});
});

test('a refusal names the origin and the setting, in the answer and once in the log', async () => {
  const origin = 'https://my-app.example';
  for (let i = 0; i < 3; i++) {
    for (const [method, headers] of [['POST', {}], ['OPTIONS', { 'access-control-request-method': 'POST' }]]) {
      const answer = await server.request(method, '/api/rooms', undefined, { origin, ...headers });
      assertProblem(answer, 403, 'forbidden');
      for (const named of [origin, 'cors.origins']) assert.ok(answer.body.detail.includes(named), answer.text);
    }
  }
  await server.logs(/Refused a page.*my-app\.example.*cors\.origins/);
  assert.equal(server.output.match(/Refused a page[^\n]*my-app/g).length, 1);
});

test('a native client names the address of the server as its origin', async () => {
  const ada = await server.person('ada');
  for (const origin of [server.url, server.url.replace('http', 'ws'), server.url.replace('127.0.0.1', 'localhost')]) {
    const phone = await ada.connect({ transports: ['websocket'], extraHeaders: { origin } });
    await phone.does('listRooms', {});
  }
});

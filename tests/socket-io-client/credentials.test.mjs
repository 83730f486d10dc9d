// A token may stand in several places; wherever it stands, the sender is who the token says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server } from './harness.mjs';

const server = await Server.start();

const places = {
  'auth.token': (token) => ({ auth: { token } }),
  'auth.token given by a function': (token) => ({ auth: (give) => give({ token }) }),
  'query token': (token) => ({ query: { token } }),
  'an Authorization header': (token) => ({ extraHeaders: { authorization: `Bearer ${token}` } }),
  'the cookie chatToken': (token) => ({ extraHeaders: { cookie: `theme=dark; chatToken=${token}; lang=en` } }),
};

for (const [place, options] of Object.entries(places)) {
  for (const transport of ['polling', 'websocket']) {
    test(`${place} lets one in over ${transport}`, async () => {
      const ada = await server.person('ada');
      const phone = server.dial({ ...options(ada.token), transports: [transport] });
      assert.equal((await phone.isAnswered()).event, 'connect');
      const message = await phone.tells(ada, 'who am I?');
      assert.equal(message.sender, ada.username);
    });
  }
}

test('the token of a later login works as well as that of the first', async () => {
  const ada = await server.person('ada');
  const first = ada.token;
  await ada.logsIn();
  assert.notEqual(ada.token, first);
  for (const token of [first, ada.token]) {
    const phone = server.dial({ auth: { token } });
    assert.equal((await phone.isAnswered()).event, 'connect');
  }
});

test('a refreshed token opens connections', async () => {
  const ada = await server.person('ada');
  const phone = server.dial({ auth: { token: await ada.refreshesToken() } });
  assert.equal((await phone.isAnswered()).event, 'connect');
});

test('the cookie that login sets opens connections', async () => {
  const ada = await server.person('ada');
  const login = await server.request('POST', '/api/auth/login', { username: ada.username, password: ada.password });
  const cookie = login.headers.getSetCookie().find((line) => line.startsWith('chatToken=')).split(';')[0];
  const phone = server.dial({ extraHeaders: { cookie } });
  assert.equal((await phone.isAnswered()).event, 'connect');
});

// The first credential found wins, and a bad one is refused even if a good one stands further down.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, tampered } from './harness.mjs';

const server = await Server.start();

// In the order of precedence. Two headers can stand together, so each only adds its part.
const places = [
  ['auth.token', (token) => ({ auth: { token } })],
  ['the query', (token) => ({ query: { token } })],
  ['the Authorization header', (token) => ({ extraHeaders: { authorization: `Bearer ${token}` } })],
  ['the cookie', (token) => ({ extraHeaders: { cookie: `chatToken=${token}` } })],
];

function both(one, other) {
  const extraHeaders = { ...one.extraHeaders, ...other.extraHeaders };
  return { ...one, ...other, ...(Object.keys(extraHeaders).length ? { extraHeaders } : {}) };
}

const pairs = places.flatMap((upper, i) => places.slice(i + 1).map((lower) => [upper, lower]));

for (const [[upperName, upper], [lowerName, lower]] of pairs) {
  test(`${upperName} wins over ${lowerName}`, async () => {
    const [ada, bob] = await server.people('ada', 'bob');
    const phone = server.dial(both(upper(ada.token), lower(bob.token)));
    assert.equal((await phone.isAnswered()).event, 'connect');
    assert.equal((await phone.tells(ada, 'who am I?')).sender, ada.username);
  });

  test(`a bad token in ${upperName} is refused in spite of a good one in ${lowerName}`, async () => {
    const ada = await server.person('ada');
    const text = await server.refuses(both(upper(tampered(ada.token)), lower(ada.token)));
    assert.match(text, /^token_invalid: ./);
  });

  test(`a bad token in ${lowerName} does no harm when ${upperName} has a good one`, async () => {
    const ada = await server.person('ada');
    const phone = server.dial(both(upper(ada.token), lower(tampered(ada.token))));
    assert.equal((await phone.isAnswered()).event, 'connect');
  });
}

// The examples of README.md and docs/events.md, as they are written there.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { io } from 'socket.io-client';
import { LIMIT, Server, until } from './harness.mjs';

const server = await Server.start();
const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
const [, example] = /```js\n(import \{ io \} from "socket\.io-client";\n[^`]*)```/.exec(readme);

// As it is written, and as somebody writes it who wants no repetition: callbacks then have the form `(answer)`.
const ways = {
  'with `retries`': example,
  'without `retries`': example.replace(', retries: 3, ackTimeout: 5000', '').replace('(err, answer) =>', '(answer) =>').replace(/^ *if \(err\).*\n( *)else if/m, '$1if'),
};

for (const [way, text] of Object.entries(ways)) {
  test(`the example runs, twice, and after a break: ${way}`, { timeout: 4 * LIMIT }, async () => {
    assert.equal(/retries|err\b/.test(text.replace(/console\.log.*/g, '')), way.startsWith('with `'), text);
    const AsyncFunction = (async () => {}).constructor;
    const name = way.startsWith('with `') ? 'lin' : 'lee';
    const code = text.replace(/^import .*$/m, '').replaceAll('http://localhost:8087', server.url).replaceAll('"lin"', `"${name}"`);
    assert.ok(code.includes(server.url));
    const sockets = [];
    const run = async () => {
      const printed = [];
      const console = { log: (...args) => printed.push(args.join(' ')) };
      const remembers = (...args) => sockets[sockets.push(io(...args)) - 1];
      await new AsyncFunction('io', 'console', code)(remembers, console);
      await until('the message and its answer', () => printed.includes(`${name} hello`) && printed.some((line) => /^stored/.test(line)));
      assert.ok(!printed.some((line) => /not known|refused/.test(line)), printed.join('\n'));
      return printed;
    };
    try {
      await run();
      const printed = await run();
      sockets[1].io.engine.close();
      await until('the client to come back', () => sockets[1].connected);
      const before = printed.length;
      sockets[1].emit('privateMessage', { receiver: name, content: 'again', clientMessageId: 'again-1' }, () => {});
      await until('what is sent after it', () => printed.includes(`${name} again`));
      assert.ok(printed.length > before && printed.filter((line) => line === `${name} hello`).length <= 2, 'and nothing is sent twice');
    } finally {
      for (const socket of sockets) socket.disconnect();
    }
  });
}

test('tickets by the function form of `auth`: each connection has a new one', async () => {
  const events = await readFile(new URL('../../docs/events.md', import.meta.url), 'utf8');
  const [, code] = /<!-- ticket -->\n```js\n([^`]*`[^`]*`[^`]*)```/.exec(events);
  const ada = await server.person('ada');
  const since = {};
  const connect = new Function('io', 'url', 'token', 'since', `${code}\nreturn socket;`);
  const socket = connect((url, options) => io(url, { reconnectionDelay: 50, ...options }), server.url, ada.token, since);
  const seen = [];
  socket.on('response', ({ response }) => {
    since[response.roomId] = response.seq;
    seen.push(response.content);
  });
  try {
    await until('the first connection', () => socket.connected);
    assert.equal((await socket.emitWithAck('privateMessage', { receiver: ada.username, content: 'one' })).success, true);
    const { id } = socket;
    socket.io.engine.close();
    await until('the second connection', () => socket.connected && socket.id !== id);
    assert.equal((await socket.emitWithAck('privateMessage', { receiver: ada.username, content: 'two' })).success, true);
    assert.deepEqual(seen, ['one', 'two']);
    // The login ends: no ticket, and no further try.
    const { status } = await server.request('POST', '/api/auth/logout', undefined, { authorization: `Bearer ${ada.token}` });
    assert.ok(status < 300);
    await until('the end', () => !socket.connected);
    socket.connect();
    await until('the page gives up', () => !socket.active);
  } finally {
    socket.disconnect();
  }
});

// The example of README.md, as it is written there.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { io } from 'socket.io-client';
import { LIMIT, Server, until } from './harness.mjs';

const server = await Server.start();
const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
const [, example] = /```js\n(import \{ io \} from "socket\.io-client";\n[^`]*)```/.exec(readme);

test('the example runs, twice, and after a restart of the server', { timeout: 4 * LIMIT }, async () => {
  const AsyncFunction = (async () => {}).constructor;
  const code = example.replace(/^import .*$/m, '').replaceAll('http://localhost:8087', server.url);
  assert.ok(code.includes(server.url));
  const sockets = [];
  const run = async () => {
    const printed = [];
    const console = { log: (...args) => printed.push(args.join(' ')) };
    const remembers = (...args) => sockets[sockets.push(io(...args)) - 1];
    await new AsyncFunction('io', 'console', code)(remembers, console);
    await until('the message and its answer', () => printed.includes('lin hello') && printed.some((line) => /^stored/.test(line)));
    assert.ok(!printed.some((line) => /not known|refused/.test(line)), printed.join('\n'));
    return printed;
  };
  try {
    await run();
    const printed = await run();
    sockets[1].io.engine.close();
    await until('the client to come back', () => sockets[1].connected);
    const before = printed.length;
    sockets[1].emit('privateMessage', { receiver: 'lin', content: 'again', clientMessageId: 'again-1' }, () => {});
    await until('what is sent after it', () => printed.includes('lin again'));
    assert.ok(printed.length > before && printed.filter((line) => line === 'lin hello').length <= 2, 'and nothing is sent twice');
  } finally {
    for (const socket of sockets) socket.disconnect();
  }
});

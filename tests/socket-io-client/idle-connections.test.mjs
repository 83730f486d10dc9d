// A connection that joins no namespace does not stay.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Manager } from 'socket.io-client';
import { Server, until } from './harness.mjs';

const server = await Server.start();

for (const transport of ['polling', 'websocket']) {
  test(`a connection over ${transport} that joins no namespace within 10 s is closed`, async (t) => {
    const manager = new Manager(server.url, { autoConnect: false, reconnection: false, transports: [transport] });
    t.after(() => manager.engine?.close());
    let opened, closed;
    manager.on('open', () => (opened = Date.now()));
    manager.on('close', () => (closed = Date.now()));
    manager.open();
    await until('the connection opens', () => opened);
    await until('the server closes it', () => closed);
    assert.ok(closed - opened > 8_000, `closed after ${closed - opened} ms already`);
  });
}

test('a connection whose CONNECT was refused is closed as well', async (t) => {
  const manager = new Manager(server.url, { reconnection: false, transports: ['websocket'] });
  t.after(() => manager.engine?.close());
  let closed;
  manager.on('close', () => (closed = true));
  // The stock client hangs up when its last socket is refused; this one stays on the line.
  manager._destroy = () => {};
  manager.socket('/chat', { auth: { token: 'nonsense' } });
  await until('the server closes it', () => closed);
});

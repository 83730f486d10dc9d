// examples/two-nodes, as its README tells: two people chat in the web client, each at a node of their own, and one node is killed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, connectionsAt, isIn, isLacking, opens, shows, signsUp, texts, twoNodes, until, writes } from './harness.mjs';

const browser = await Browser.start();
/** The PostgreSQL server; the other tests of this folder use SQLite. */
const server = process.env.PARLOR_TEST_NODES_URL;
/** What a browser says of a node that is gone. */
const AWAY = [/ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|WebSocket|Failed to fetch|status of (400|50[234])/];

test('two people at different nodes chat on while one of the nodes is killed', { skip: isLacking('nginx', server) }, async (t) => {
  const one = await browser.profile(t);
  // The proxy chooses the node by a cookie, so not everybody's is another one.
  const others = await Promise.all(Array.from({ length: 8 }, () => browser.profile(t)));
  const { url, nodes, pids } = await twoNodes(t, 'nginx', server);
  const ada = await one.opens(url);
  await signsUp(ada, 'ada');
  const before = await connectionsAt(nodes);
  let bob;
  for (const [number, other] of others.entries()) {
    bob = await other.opens(url);
    bob.mayComplain(...AWAY);
    await signsUp(bob, `bob${number}`);
    bob.name = `bob${number}`;
    const now = await connectionsAt(nodes);
    if (before.some((count, node) => count === 0 && now[node] > 0)) break;
  }
  assert.ok((await connectionsAt(nodes)).every((count) => count > 0), 'each is at a node');
  ada.mayComplain(...AWAY);
  await opens(ada, bob.name);
  await opens(bob, 'ada');
  const written = Array.from({ length: 20 }, (_, n) => `message ${n + 1}`);
  for (const [n, text] of written.entries()) {
    const [writer, reader] = n % 2 ? [bob, 'ada'] : [ada, bob.name];
    await writes(writer, reader, text);
    if (n < 10) for (const tab of [ada, bob]) await shows(tab, text);
    // Ada's node.
    if (n === 9) process.kill(pids[before.findIndex((count) => count > 0)], 'SIGKILL');
  }
  for (const tab of [ada, bob]) {
    for (const text of written) await shows(tab, text);
    assert.deepEqual((await texts(tab)).sort(), [...written].sort(), 'nothing is lost, and nothing came twice');
  }
  assert.deepEqual(await texts(ada), await texts(bob), 'in the same order');
  await isIn(ada);
  await until('her to be at the other node', async () => (await connectionsAt([nodes[before.findIndex((count) => count === 0)]]))[0] >= 2);
});

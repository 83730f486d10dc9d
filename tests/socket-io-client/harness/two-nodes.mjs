// Two nodes on one PostgreSQL and a proxy before them, as examples/two-nodes starts them.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { freshDatabase } from './database.mjs';
import { request } from './http.mjs';
import { freePort, until } from './waiting.mjs';

const path = `${process.env.PATH}:/usr/sbin`;
const ASKED = { nginx: '-v', haproxy: '-v', caddy: 'version' };
export const PROXIES = Object.keys(ASKED);

/** Why a test with this proxy and this PostgreSQL server cannot run here; `false` if it can. */
export function isLacking(proxy, server) {
  if (!server) return 'one node serves SQLite';
  const isThere = spawnSync(proxy, [ASKED[proxy]], { env: { PATH: path } }).status === 0;
  assert.ok(isThere || !process.env.CI, `CI has ${proxy}`);
  return !isThere && `${proxy} is not installed`;
}

/** What the example starts: the proxy's address, those of the nodes, and their processes. It is stopped after the test. */
export async function twoNodes(t, kind, server) {
  const database = await freshDatabase(server);
  const [proxy, first, second] = [await freePort(), await freePort(), await freePort()];
  const ports = { PROXY_PORT: proxy, FIRST_PORT: first, SECOND_PORT: second };
  const program = { PARLOR: resolve(process.env.PARLOR_BIN), PARLOR__CLUSTER__DRAIN_DELAY: '0s' };
  const child = spawn(resolve('../../examples/two-nodes/start.sh'), {
    env: { PATH: path, PROXY: kind, DATABASE_URL: database.url, ...program, ...ports },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  const ended = new Promise((over) => child.once('close', over));
  t.after(async () => {
    child.kill('SIGTERM');
    await ended;
    await database.drop();
  });
  const url = `http://127.0.0.1:${proxy}`;
  const pids = await until('both nodes', () => {
    assert.equal(child.exitCode, null, output);
    const pids = [...output.matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid));
    return pids.length === 2 && pids;
  });
  const nodes = [first, second].map((port) => `http://127.0.0.1:${port}`);
  for (const node of nodes) await until('a node to know the other', async () => (await metric(node, 'parlor_cluster_nodes')) === 2);
  await until(kind, () => request(url, 'GET', '/readyz').then(({ status }) => status === 200, () => false));
  return { url, nodes, pids };
}

/** How many connections each node has. */
export const connectionsAt = (nodes) => Promise.all(nodes.map((node) => metric(node, 'parlor_connections')));

async function metric(node, name) {
  const { text } = await request(node, 'GET', '/metrics');
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1]);
}

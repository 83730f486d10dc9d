// Two nodes on one PostgreSQL behind each proxy, as examples/two-nodes starts them: the stock client by each transport,
// while a node is killed, and clients without cookies.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { io } from 'socket.io-client';
import { Person } from './harness/person.mjs';
import { freshDatabase } from './harness/database.mjs';
import { request } from './harness/http.mjs';
import { freePort, seqsTo, until } from './harness/waiting.mjs';

const PEOPLE = 8;
const DEVICES = [{ transports: ['websocket'] }, { transports: ['polling'] }, { transports: ['polling', 'websocket'] }];
const MESSAGES = 12;
/** Before they write on, the node is killed. */
const BEFORE = 6;

const path = `${process.env.PATH}:/usr/sbin`;
const hasPostgres = Boolean(process.env.PARLOR_TEST_POSTGRES_URL);
const PROXIES = { nginx: '-v', haproxy: '-v', caddy: 'version' };
/** Why a test with this proxy cannot run here; `false` if it can. */
function isLacking(proxy) {
  if (!hasPostgres) return 'one node serves SQLite';
  const isThere = spawnSync(proxy, [PROXIES[proxy]], { env: { PATH: path } }).status === 0;
  assert.ok(isThere || !process.env.CI, `CI has ${proxy}`);
  return !isThere && `${proxy} is not installed`;
}

/** What the example starts. */
async function twoNodes(t, kind) {
  const database = await freshDatabase();
  const [proxy, first, second] = [await freePort(), await freePort(), await freePort()];
  const child = spawn(resolve('../../examples/two-nodes/start.sh'), {
    env: { PATH: path, PROXY: kind, DATABASE_URL: database.url, PARLOR: resolve(process.env.PARLOR_BIN), PROXY_PORT: proxy, FIRST_PORT: first, SECOND_PORT: second },
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
  const alive = async (node) => /^parlor_cluster_nodes (\d+)/m.exec((await request(node, 'GET', '/metrics')).text)?.[1];
  for (const node of nodes) await until('a node to know the other', async () => (await alive(node)) === '2');
  await until(kind, () => request(url, 'GET', '/readyz').then(({ status }) => status === 200, () => false));
  return { url, nodes, pids };
}

/** A device that keeps what it has got of a group, in the order in which it came. */
class Device {
  seqs = [];
  constructor(url, person, group, options) {
    this.person = person;
    this.socket = io(`${url}/chat`, {
      ...options,
      withCredentials: true,
      forceNew: true,
      reconnectionDelay: 100,
      reconnectionDelayMax: 500,
      // A queue of its own: sends again until it is answered.
      retries: 1000,
      ackTimeout: 2_000,
      auth: (tell) => tell({ token: person.token, since: { [group]: this.seqs.at(-1) ?? 0 } }),
    });
    this.socket.on('response', ({ response }, acknowledge) => {
      if (response.roomId === group) this.seqs.push(response.seq);
      acknowledge?.();
    });
  }

  says(group, content) {
    const message = { receiver: group, content, clientMessageId: content };
    return new Promise((told, failed) => {
      this.socket.emit('groupMessage', message, (error, answer) => (error ? failed(error) : told(answer)));
    });
  }
}

for (const proxy of Object.keys(PROXIES)) test(`behind ${proxy}, by each transport, a node is killed, and nobody misses or doubles a message`, { skip: isLacking(proxy) }, async (t) => {
  const { url, nodes, pids } = await twoNodes(t, proxy);
  const door = { url: nodes[0], request: (...asked) => request(nodes[0], ...asked) };
  const people = [];
  for (let number = 0; number < PEOPLE; number += 1) {
    const person = new Person(door, `person${number}`);
    await person.signsUp();
    await person.logsIn();
    people.push(person);
  }
  const made = await people[0].request('POST', '/api/rooms', { groupName: 'everyone', users: people.slice(1).map(({ username }) => username) });
  const group = made.body.groupId;
  const devices = people.flatMap((person) => DEVICES.map((options) => new Device(url, person, group, options)));
  t.after(() => devices.forEach(({ socket }) => socket.disconnect()));
  await until('everyone to be connected', () => devices.every(({ socket }) => socket.connected));
  const at = (node) => request(node, 'GET', '/metrics').then(({ text }) => Number(/^parlor_connections (\d+)/m.exec(text)[1]));
  const spread = [await at(nodes[0]), await at(nodes[1])];
  assert.ok(spread.every((count) => count > 0), `both nodes have connections: ${spread}`);

  const speaks = async (device, number) => {
    for (let said = 0; said < MESSAGES; said += 1) {
      if (said === BEFORE) await killed;
      const answer = await device.says(group, `${number}: ${said}`);
      assert.equal(answer.success, true, JSON.stringify(answer));
    }
  };
  let kill;
  const killed = new Promise((done) => (kill = done));
  const speakers = devices.map((device, number) => speaks(device, number));
  await until('half of it to be said', () => devices[0].seqs.length >= (devices.length * BEFORE) / 2);
  process.kill(pids[0], 'SIGKILL');
  kill();
  await Promise.all(speakers);
  const all = devices.length * MESSAGES;
  await until('everyone to have everything', () => devices.every(({ seqs }) => seqs.at(-1) === all));
  for (const { seqs, person } of devices) assert.deepEqual(seqs, seqsTo(all), person.username);
});

for (const proxy of Object.keys(PROXIES)) test(`behind ${proxy}, a client without cookies needs websockets alone`, { skip: isLacking(proxy) }, async (t) => {
  const { url, nodes } = await twoNodes(t, proxy);
  const person = new Person({ url: nodes[0], request: (...asked) => request(nodes[0], ...asked) }, 'ada');
  await person.signsUp();
  await person.logsIn();
  const dials = (transports) => {
    const socket = io(`${url}/chat`, { transports, forceNew: true, reconnection: false, auth: { token: person.token } });
    t.after(() => socket.disconnect());
    return new Promise((told) => {
      socket.once('connect', () => told('connected'));
      for (const event of ['connect_error', 'disconnect']) socket.once(event, (why) => told(String(why.description ?? why)));
    });
  };
  const outcomes = (transports) => Promise.all(Array.from({ length: 16 }, () => dials(transports)));
  assert.deepEqual(new Set(await outcomes(['websocket'])), new Set(['connected']));
  // Each request goes to any node, and the other one does not know the session.
  assert.ok((await outcomes(['polling'])).some((outcome) => outcome !== 'connected'), 'polling needs its node');
});

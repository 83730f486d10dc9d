// Measures what several nodes on one PostgreSQL cost: the same load on 1, 2 and 4 of them.
//
//   npm ci && PARLOR=../../target/release/parlor POSTGRES=postgres://user@127.0.0.1/postgres npm start
//
// PEOPLE people are in ROOMS rooms of ten, one socket each, spread over the nodes. RATE messages a second are written for
// SECONDS seconds, whatever the answers. Everybody has to get every message of their rooms once and in order, or the run
// fails. Printed for each number of nodes: the processor time of the nodes and of PostgreSQL for each stored message, and
// how long a message took to sockets of the same node and of others. The user of the database may create databases, and
// everything is on this machine: its processor time is read from /proc. BUS and BUS_URL choose the bus (docs/scaling.md).
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { io } from 'socket.io-client';

const { PARLOR, POSTGRES, NODES = '1,2,4', PEOPLE = '100', ROOMS = '40', RATE = '100', SECONDS = '20', BUS = 'postgres', BUS_URL = '' } = process.env;
const MEMBERS = 10;
/** /proc counts in hundredths of a second. */
const TICK_MS = 10;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function until(what, holds) {
  for (const end = Date.now() + 60_000; !(await holds()); await sleep(50)) {
    if (Date.now() > end) throw new Error(`not within a minute: ${what}`);
  }
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => probe.once('listening', done));
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  return port;
}

function psql(sql) {
  execFileSync('psql', ['--no-psqlrc', '--quiet', '--dbname', POSTGRES, '--command', sql], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** The milliseconds of processor time that a process has taken. */
function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** The processes of PostgreSQL that serve a database. */
function servers(database) {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(` ${database} `);
    } catch {
      return false;
    }
  });
}

async function startNode(url) {
  const port = await freePort();
  const env = {
    PATH: process.env.PATH,
    PARLOR__DATABASE__URL: url,
    PARLOR__DATABASE__AUTO_MIGRATE: 'true',
    PARLOR__SERVER__LISTEN: `127.0.0.1:${port}`,
    PARLOR__CLUSTER__BUS: BUS,
    PARLOR__CLUSTER__URL: BUS_URL,
    PARLOR__LIMITS__GROUPS_PER_HOUR: '100000',
    PARLOR__LIMITS__GROUPS_OWNED: '100000',
    PARLOR__LIMITS__MEMBERS_ADDED_PER_HOUR: '100000',
    PARLOR__LIMITS__REQUESTS_PER_SECOND: '100000',
    PARLOR__LIMITS__REQUESTS_BURST: '100000',
    RUST_LOG: 'warn',
  };
  const child = spawn(resolve(PARLOR), ['serve'], { env, cwd: mkdtempSync(join(tmpdir(), 'parlor-nodes-')), stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (data) => (output += data));
  await until('a node to listen', () => {
    if (child.exitCode !== null) throw new Error(output);
    return output.includes('listening on');
  });
  return { child, pid: child.pid, url: `http://127.0.0.1:${port}` };
}

async function post(url, path, body, token) {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
  const answer = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

const quantile = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]?.toFixed(1);

async function measure(count) {
  const database = `parlor_nodes_${randomBytes(4).toString('hex')}`;
  psql(`CREATE DATABASE ${database}`);
  const url = new URL(POSTGRES);
  url.pathname = `/${database}`;
  const nodes = [];
  for (let number = 0; number < count; number += 1) nodes.push(await startNode(url.href));
  const alive = async (node) => /^parlor_cluster_nodes (\d+)/m.exec(await (await fetch(`${node.url}/metrics`)).text())?.[1];
  for (const node of nodes) await until('the nodes to know each other', async () => (await alive(node)) === String(count));

  const people = [];
  for (let number = 0; number < Number(PEOPLE); number += 1) {
    const login = { username: `person${number}`, password: 'correct horse battery' };
    await post(nodes[0].url, '/api/users', login);
    const { token } = await post(nodes[0].url, '/api/auth/login', login);
    people.push({ ...login, token, rooms: [], node: nodes[number % count] });
  }
  const rooms = [];
  for (let number = 0; number < Number(ROOMS); number += 1) {
    const members = Array.from({ length: MEMBERS }, (_, place) => people[(number * 7 + place * 3) % people.length]);
    const users = members.slice(1).map(({ username }) => username);
    const { groupId } = await post(nodes[0].url, '/api/rooms', { groupName: `room ${number}`, users }, members[0].token);
    rooms.push({ groupId, members, stored: 0 });
    members.forEach((member) => member.rooms.push(groupId));
  }
  const [here, there] = [[], []];
  const wrong = [];
  for (const person of people) {
    person.seqs = new Map();
    person.socket = io(`${person.node.url}/chat`, { transports: ['websocket'], forceNew: true, auth: { token: person.token } });
    person.socket.on('response', ({ response }, acknowledge) => {
      acknowledge?.();
      const before = person.seqs.get(response.roomId) ?? 0;
      if (response.seq !== before + 1) wrong.push(`${person.username}: ${response.seq} after ${before}`);
      person.seqs.set(response.roomId, response.seq);
      const [at, node] = response.content.split(' ');
      (node === person.node.url ? here : there).push(performance.now() - Number(at));
    });
    await new Promise((connected, failed) => person.socket.once('connect', connected).once('connect_error', failed));
  }

  await sleep(2_000);
  const before = [nodes.map(({ pid }) => cpuOf(pid)), new Map(servers(database).map((pid) => [pid, cpuOf(pid)]))];
  const all = Number(RATE) * Number(SECONDS);
  const answers = [];
  const began = performance.now();
  for (let number = 0; number < all; number += 1) {
    const room = rooms[number % rooms.length];
    const person = room.members[Math.floor(number / rooms.length) % room.members.length];
    room.stored += 1;
    const message = { receiver: room.groupId, content: `${performance.now()} ${person.node.url} ${'x'.repeat(60)}` };
    answers.push(new Promise((answered) => person.socket.emit('groupMessage', message, answered)));
    await sleep(Math.max(0, ((number + 1) * 1_000) / Number(RATE) - (performance.now() - began)));
  }

  for (const answer of await Promise.all(answers)) if (!answer.success) wrong.push(JSON.stringify(answer));
  await until('everybody to have everything', () => rooms.every((room) => room.members.every(({ seqs }) => seqs.get(room.groupId) === room.stored)));
  await sleep(1_000);
  const ofNodes = nodes.reduce((sum, { pid }, number) => sum + cpuOf(pid) - before[0][number], 0);
  const ofDatabase = servers(database).reduce((sum, pid) => sum + cpuOf(pid) - (before[1].get(pid) ?? 0), 0);
  if (wrong.length > 0) throw new Error(wrong.slice(0, 5).join('\n'));

  for (const { socket } of people) socket.disconnect();
  for (const { child } of nodes) child.kill('SIGTERM');
  await Promise.all(nodes.map(({ child }) => new Promise((over) => child.once('close', over))));
  psql(`DROP DATABASE ${database} WITH (FORCE)`);
  for (const times of [here, there]) times.sort((one, other) => one - other);
  const us = (ms) => Math.round((ms * 1_000) / all);
  const took = (times) => (times.length ? `p50 ${quantile(times, 0.5)}, p99 ${quantile(times, 0.99)}` : '-');
  console.log(`| ${count} | ${us(ofNodes)} | ${us(ofDatabase)} | ${took(here)} | ${took(there)} |`);
}

console.log(`${RATE} messages/s for ${SECONDS} s, ${PEOPLE} people, ${ROOMS} rooms of ${MEMBERS}, bus ${BUS}`);
console.log('| nodes | node CPU, µs a message | PostgreSQL CPU, µs a message | ms to the same node | ms to another node |');
console.log('|---:|---:|---:|---|---|');
for (const count of NODES.split(',')) await measure(Number(count));
process.exit(0);

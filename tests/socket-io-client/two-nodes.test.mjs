// Two nodes on one PostgreSQL behind each proxy, as examples/two-nodes starts them: the stock client by each transport,
// while a node is killed, and clients without cookies.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { io } from 'socket.io-client';
import { Person } from './harness/person.mjs';
import { request } from './harness/http.mjs';
import { connectionsAt, isLacking, PROXIES, twoNodes } from './harness/two-nodes.mjs';
import { seqsTo, until } from './harness/waiting.mjs';

/** The PostgreSQL server. */
const server = process.env.PARLOR_TEST_POSTGRES_URL;
// A longer run sets the first, as PARLOR_TEST_PEOPLE: each has a device of each kind.
const PEOPLE = Number(process.env.PARLOR_TEST_PEOPLE ?? 8);
const SPEAKERS = 24;
const DEVICES = [{ transports: ['websocket'] }, { transports: ['polling'] }, { transports: ['polling', 'websocket'] }];
const MESSAGES = 12;
/** Before they write on, the node is killed. */
const BEFORE = 6;

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

for (const proxy of PROXIES) test(`behind ${proxy}, by each transport, a node is killed, and nobody misses or doubles a message`, { skip: isLacking(proxy, server) }, async (t) => {
  const { url, nodes, pids } = await twoNodes(t, proxy, server);
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
  const spread = await connectionsAt(nodes);
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
  const speakers = devices.slice(0, SPEAKERS).map((device, number) => speaks(device, number));
  await until('half of it to be said', () => devices[0].seqs.length >= (SPEAKERS * BEFORE) / 2);
  process.kill(pids[0], 'SIGKILL');
  kill();
  await Promise.all(speakers);
  const all = SPEAKERS * MESSAGES;
  await until('everyone to have everything', () => devices.every(({ seqs }) => seqs.at(-1) === all));
  for (const { seqs, person } of devices) assert.deepEqual(seqs, seqsTo(all), person.username);
});

for (const proxy of PROXIES) test(`behind ${proxy}, a client without cookies needs websockets alone`, { skip: isLacking(proxy, server) }, async (t) => {
  const { url, nodes } = await twoNodes(t, proxy, server);
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

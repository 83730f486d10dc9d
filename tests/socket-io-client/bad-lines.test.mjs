// Everything at once: a group on bad telephone lines, and a server that is restarted or crashes meanwhile.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Line, Server, brief, seqsTo, sleep, until } from './harness.mjs';

const settings = { LIMITS__EVENTS_PER_SECOND: 1_000, LIMITS__EVENTS_BURST: 1_000 };
const EACH = 100;
const LONG = 60_000;

/** A member whose client does as the README advises: retries, a clientMessageId, and auth.since. */
async function member(server, person, t) {
  const line = await Line.to(server, t);
  const since = {};
  const tab = person.dial({
    at: line.url,
    auth: (give) => give({ token: person.token, since }),
    retries: 1_000,
    ackTimeout: 1_500,
    timeout: 2_000,
  });
  tab.socket.on('response', ({ response }) => (since[response.roomId] = response.seq));
  await tab.sees('connect');
  return { person, line, tab };
}

async function talk({ person, tab }, group) {
  const stored = [];
  for (let i = 1; i <= EACH; i++) {
    const payload = { receiver: group.groupId, content: `${person.username} ${i}`, clientMessageId: `${i}` };
    const acked = new Promise((resolve, reject) => {
      tab.socket.emit('groupMessage', payload, (error, answer) => (error ? reject(error) : resolve(answer)));
    });
    await sleep(25);
    stored.push(acked);
  }
  const answers = await Promise.all(stored);
  for (const [i, answer] of answers.entries()) assert.ok(answer.success, `message ${i + 1} of ${person.username} was refused: ${brief(answer)}`);
  return answers.map((answer) => answer.response);
}

for (const [how, again] of [['restarted', (server) => server.restart()], ['killed', async (server) => (await server.crash(), server.run())]]) {
  test(`lines break and the server is ${how}: everyone has every message, once, in order`, async (t) => {
    const server = await Server.start({ t, settings });
    const people = await server.people('ada', 'bob', 'cyn', 'dan');
    const members = await Promise.all(people.map((person) => member(server, person, t)));
    const users = people.map((person) => person.username);
    const group = await members[0].tab.does('createGroup', { groupName: 'on bad lines', users });

    let talking = true;
    const trouble = (async () => {
      for (let round = 0; talking; round++) {
        const { line } = members[round % members.length];
        if (round % 2) line.losesAnswers();
        await sleep(60);
        line.breaks();
        await sleep(150);
        line.works();
        if (round === 3) await again(server);
        await sleep(150);
      }
    })();
    const spoken = await Promise.allSettled(members.map((one) => talk(one, group)));
    talking = false;
    await trouble;
    const stored = spoken.flatMap(({ value, reason }) => {
      if (reason) throw reason;
      return value;
    });

    const total = members.length * EACH;
    assert.deepEqual(stored.map((message) => message.seq).sort((a, b) => a - b), seqsTo(total));
    assert.equal(new Set(stored.map((message) => message.content)).size, total);
    const bySeq = stored.sort((a, b) => a.seq - b.seq).map((message) => `${message.seq} ${message.content}`);
    for (const { person, tab } of members) {
      await tab.sees('response', (e) => e.response.seq === total, LONG);
      assert.deepEqual(tab.messages(group.groupId).map((m) => `${m.seq} ${m.content}`), bySeq, `what ${person.username} has seen`);
      const own = bySeq.filter((text) => text.includes(person.username)).map((text) => Number(text.split(' ')[2]));
      assert.deepEqual(own, seqsTo(EACH), 'in the order in which it was sent');
      const told = tab.seen('updateDeliveryStatusOnConnection').map((e) => e.response.seq);
      if (how === 'restarted') assert.equal(new Set(told).size, told.length, 'no delivery is told twice');
    }
    const { messages } = await members[0].tab.does('history', { receiver: group.groupId, group: true, after: total - 50 });
    assert.equal(messages.length, 50);
    const delivered = async () => {
      const page = await people[0].request('GET', `/api/rooms/${group.groupId}/messages?limit=200`);
      return page.body.messages.every((message) => message.deliveredToAll);
    };
    await until('in the end all is delivered to all', delivered);
  });
}

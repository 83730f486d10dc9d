// Who comes and who goes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Line, Server, assertUser, sleep, until } from './harness.mjs';

const server = await Server.start();
const GRACE = 3_000;
const ofPerson = (person, online) => (e) => e.username === person.username && (online === undefined || e.online === online);

test('everyone else sees somebody come online', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  const laptop = await bob.connect();
  const status = await phone.sees('onlineStatus', ofPerson(bob));
  assert.deepEqual(Object.keys(status).sort(), ['lastSeen', 'online', 'username']);
  assert.equal(status.online, true);
  await laptop.seesNothing('onlineStatus', 300, ofPerson(bob));
});

test('offline is said 3 s after the last socket went, with the time', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  const laptop = await bob.connect();
  await phone.sees('onlineStatus', ofPerson(bob, true));
  const left = Date.now();
  laptop.close();
  const status = await phone.sees('onlineStatus', ofPerson(bob, false));
  const waited = Date.now() - left;
  assert.ok(waited > GRACE - 500, `told after ${waited} ms`);
  assert.match(status.lastSeen, /^\d{4}-\d\d-\d\dT.*\.\d{3}Z$/);
  const users = await phone.does('listUsers', {});
  const user = users.find(({ username }) => username === bob.username);
  assertUser(user);
  assert.equal(user.isOnline, false);
  assert.ok(Math.abs(Date.parse(user.lastSeen) - left) < 60_000, user.lastSeen);
});

test('a broken line counts as going', async (t) => {
  const [ada, bob] = await server.people('ada', 'bob');
  const line = await Line.to(server, t);
  const phone = await ada.connect();
  await bob.connect({ at: line.url, transports: ['websocket'] });
  await phone.sees('onlineStatus', ofPerson(bob, true));
  line.breaks();
  await phone.sees('onlineStatus', ofPerson(bob, false));
});

test('a quick reload is not seen by others', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  const page = await bob.connect();
  await phone.sees('onlineStatus', ofPerson(bob, true));
  phone.forgets();
  page.close();
  await sleep(500);
  await bob.connect();
  await phone.seesNothing('onlineStatus', GRACE + 1_500, ofPerson(bob));
});

test('with two tabs one is online until the second is closed, and comes online once', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  const [one, two] = [await bob.connect(), await bob.connect()];
  await phone.sees('onlineStatus', ofPerson(bob, true));
  one.close();
  await phone.seesNothing('onlineStatus', GRACE + 1_500, ofPerson(bob, false));
  assert.equal(phone.seen('onlineStatus', ofPerson(bob)).length, 1);
  two.close();
  await phone.sees('onlineStatus', ofPerson(bob, false));
});

test('who was gone and returns comes online again', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  const laptop = await bob.connect();
  await phone.sees('onlineStatus', ofPerson(bob, true));
  laptop.close();
  await phone.sees('onlineStatus', ofPerson(bob, false));
  phone.forgets();
  await bob.connect();
  await phone.sees('onlineStatus', ofPerson(bob, true));
  await until('the list says so', async () => {
    const users = await phone.does('listUsers', {});
    return users.find(({ username }) => username === bob.username).isOnline;
  });
});

test('a refused connection makes nobody online', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  await server.refuses({ auth: { token: `${bob.token}x` } });
  await phone.seesNothing('onlineStatus', 400, ofPerson(bob));
});

test('above presence.everyone_up_to only those who share a room are told', async (t) => {
  const crowded = await Server.start({ t, settings: { PRESENCE__EVERYONE_UP_TO: 1 } });
  const [ada, bob, cyn] = await crowded.people('ada', 'bob', 'cyn');
  const [phone, tablet] = [await ada.connect(), await cyn.connect()];
  await phone.tells(bob, 'a room for the two of us');
  await bob.connect();
  await phone.sees('onlineStatus', ofPerson(bob, true));
  await tablet.seesNothing('onlineStatus', 400, ofPerson(bob));
});

// The React rooms app of seed 2, as its code does it: one socket in the namespace `/` with the token in
// `auth`, everything by events with a callback, and no HTTP but the login elsewhere. The tokens here are
// Parlor's own; to the events it makes no difference whose they are.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DevProxy, Line, Server, assertError, brief, forged, seqsTo, sleep, tampered, until } from './harness.mjs';

const NOBODY = '0190a000-0000-7000-8000-000000000000';
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const PASSWORD = 'open sesame';
const SETTINGS = { LIMITS__EVENTS_PER_SECOND: '10000', LIMITS__EVENTS_BURST: '10000' };

let rooms = 0;

/** One tab with the app in it. */
class App {
  constructor(server, person, options = {}) {
    this.person = person;
    this.socket = server.dial({ namespace: '/', auth: { token: person.token }, ...options }, person.username);
  }

  static async of(person, options) {
    const app = new App(person.server, person, options);
    const { event, data } = await app.socket.isAnswered();
    assert.equal(event, 'connect', data?.message);
    return app;
  }

  /** Emits, expects the bare value, and returns it. */
  async gets(event, ...payload) {
    const answer = await this.socket.asks(event, ...payload);
    assert.ok(answer !== null && typeof answer === 'object', `${event}: ${brief(answer)}`);
    assert.ok(!('error' in answer) && !('success' in answer), `${event} ${brief(payload[0])}: ${brief(answer)}`);
    return answer;
  }

  /** Emits, expects `{ error }` with one of these codes, and returns the error. */
  async fails(codes, event, ...payload) {
    const answer = await this.socket.asks(event, ...payload);
    assert.deepEqual(Object.keys(answer ?? {}), ['error'], `${event} ${brief(payload[0])}: ${brief(answer)}`);
    assertError(answer.error);
    assert.ok([codes].flat().includes(answer.error.code), `${event} ${brief(payload[0])}: ${brief(answer)}`);
    return answer.error;
  }

  /** What App.jsx does when the login is there. */
  introduces(name, email) {
    return this.gets('createIfNotExists:user', { name, email });
  }

  async creates(roomName = `room ${++rooms} of ${this.person.username}`, roomPwd = PASSWORD) {
    const room = await this.gets('create:room', { roomName, roomPwd, userUUID: this.person.id });
    assertRoom(room);
    assert.equal(room.name, roomName);
    return room;
  }

  async joins(room, roomPwd = PASSWORD) {
    const joined = await this.gets('joinIfExists:room', { roomName: room.name, roomPwd, userUUID: this.person.id });
    assertRoom(joined);
    assert.deepEqual(joined, room);
    return joined;
  }

  async reads(room) {
    const messages = await this.gets('getForARoom:messages', { roomId: room.id });
    messages.forEach(assertSaid);
    return messages;
  }

  async says(room, content) {
    const said = await this.gets('create:message', {
      content, roomId: room.id, userId: this.person.id, userName: this.person.username,
    });
    assertSaid(said);
    assert.deepEqual([said.content, said.roomId, said.userId], [content, room.id, this.person.id]);
    return said;
  }

  async hears(content) {
    const said = await this.socket.sees('updateRoomClients', (e) => e.content === content);
    assertSaid(said);
    return said;
  }

  /** Waits until an event is answered, on this connection or the next. */
  isBack() {
    const asked = () => this.socket.socket.timeout(1_000).emitWithAck('get:rooms').catch(() => null);
    return until('an answer', async () => (await asked()) !== null);
  }

  heard() {
    return this.socket.seen('updateRoomClients').map((said) => said.content);
  }
}

/** What answers and `updateRoomsDropdowns` show of a room. */
function assertRoom(room) {
  assert.deepEqual(Object.keys(room).sort(), ['id', 'name', 'owner', 'ownerId'], brief(room));
  assert.match(room.id, UUID_V7);
  assertOwner(room);
  assert.equal(room.owner.id, room.ownerId);
}

function assertOwner({ owner }) {
  assert.deepEqual(Object.keys(owner ?? {}).sort(), ['id', 'name'], brief(owner));
  assert.match(owner.id, UUID_V7);
  assert.ok(owner.name, 'the owner has a name');
}

function assertSaid(said) {
  assert.deepEqual(Object.keys(said).sort(), ['content', 'generatedOn', 'id', 'roomId', 'user', 'userId'], brief(said));
  assert.match(said.id, UUID_V7);
  assert.match(said.generatedOn, TIME);
  assert.deepEqual(Object.keys(said.user), ['name']);
  assert.ok(said.user.name);
}

const server = await Server.start({ settings: SETTINGS });

async function apps(...names) {
  const people = await server.people(...names);
  return Promise.all(people.map((person) => App.of(person)));
}

/** Waits until the server has noticed who is gone. */
function isLeftWith(count, own = server) {
  return until(`${count} connections`, async () => (await own.connectionCount()) === count);
}

test('the whole way through the app, in the order of its calls', async () => {
  const [ada, bob] = await apps('ada', 'bob');
  const user = await ada.introduces('Ada Lovelace', 'ada@example.com');
  assert.deepEqual(Object.keys(user).sort(), ['email', 'id', 'joinedOn', 'name']);
  assert.deepEqual([user.id, user.name, user.email], [ada.person.id, 'Ada Lovelace', 'ada@example.com']);
  assert.match(user.joinedOn, TIME);
  await bob.introduces('Bob', 'bob@example.com');
  assert.ok(Array.isArray(await bob.gets('get:rooms')));

  const room = await ada.creates();
  assert.deepEqual(room.owner, { id: ada.person.id, name: 'Ada Lovelace' });
  assert.deepEqual(await bob.socket.sees('updateRoomsDropdowns', (e) => e.id === room.id), room);
  const listed = (await bob.gets('get:rooms')).find(({ id }) => id === room.id);
  assertOwner(listed);
  assert.deepEqual([listed.name, listed.owner], [room.name, room.owner]);

  // The chat window: join, load what was said, talk.
  for (const app of [ada, bob]) {
    await app.joins(room);
    assert.deepEqual(await app.reads(room), []);
  }
  const first = await ada.says(room, 'hello');
  for (const app of [ada, bob]) assert.deepEqual(await app.hears('hello'), first);
  assert.deepEqual(first.user, { name: 'Ada Lovelace' });
  const second = await bob.says(room, 'hi Ada');
  for (const app of [ada, bob]) await app.hears('hi Ada');
  for (const app of [ada, bob]) {
    assert.deepEqual(app.heard(), ['hello', 'hi Ada'], 'each of them once');
    assert.deepEqual(await app.reads(room), [first, second]);
  }
});

test('whoever made a room learns of it by the answer, the others by updateRoomsDropdowns', async () => {
  const [ada, bob] = await apps('ada', 'bob');
  const room = await ada.creates();
  assert.deepEqual(await bob.socket.sees('updateRoomsDropdowns', (e) => e.id === room.id), room);
  await ada.socket.seesNothing('updateRoomsDropdowns', 400, (e) => e.id === room.id);
  assert.equal(bob.socket.seen('updateRoomsDropdowns', (e) => e.id === room.id).length, 1);
  await bob.fails('conflict', 'create:room', { roomName: room.name, roomPwd: PASSWORD });
});

test('a wrong name and a wrong password are told alike, to members too', async () => {
  const [ada, bob] = await apps('ada', 'bob');
  const room = await ada.creates();
  const wrong = [{ roomName: room.name, roomPwd: 'wrong' }, { roomName: 'no room of that name', roomPwd: PASSWORD }];
  const told = [];
  for (const app of [ada, bob]) {
    for (const payload of wrong) told.push(await app.fails('wrong_password', 'joinIfExists:room', payload));
  }
  for (const error of told) assert.deepEqual(error, told[0]);
  await bob.fails('not_a_member', 'getForARoom:messages', { roomId: room.id });
  await bob.joins(room);
});

test('after five wrong guesses there is no sixth, right or wrong', async () => {
  const [ada, bob] = await apps('ada', 'bob');
  const room = await ada.creates();
  for (let i = 0; i < 5; i++) {
    await bob.fails('wrong_password', 'joinIfExists:room', { roomName: i % 2 ? room.name : `no ${i}`, roomPwd: `guess ${i}` });
  }
  for (const roomPwd of ['guess', PASSWORD]) {
    const error = await bob.fails('rate_limited', 'joinIfExists:room', { roomName: room.name, roomPwd });
    assert.ok(error.retryAfterMs > 0, brief(error));
  }
});

test('whatever is wrong with the credential, the message is Not Authorized', async (t) => {
  const person = await server.person('ada');
  const gone = await server.person('gone');
  await gone.logsOut();
  const refused = (options) => server.refuses({ namespace: '/', ...options });
  for (const options of [
    {}, { auth: {} }, { auth: { token: '' } }, { auth: { token: null } }, { auth: { token: 7 } },
    { auth: { token: 'undefined' } }, { auth: { token: 'a.b.c' } }, { auth: { token: tampered(person.token) } },
    { auth: { token: gone.token } },
    { auth: { token: forged(person.token, { claims: { exp: 1 }, secret: Server.secret }) } },
    { auth: { token: forged(person.token, { header: { alg: 'none' } }) } },
    // A bad one is refused even if a good one stands further down.
    { auth: { token: 'bad' }, query: { token: person.token } },
  ]) {
    assert.equal(await refused(options), 'Not Authorized', brief(options));
  }
  t.diagnostic('and a good one is taken from wherever a credential may stand');
  await App.of(person, { auth: undefined, query: { token: person.token } });
});

test('nothing is replayed: neither on connecting nor on joining', async () => {
  const [ada, bob] = await apps('ada', 'bob');
  const room = await ada.creates();
  await ada.joins(room);
  await bob.joins(room);
  await ada.says(room, 'before');
  await bob.hears('before');
  bob.socket.close();
  await ada.says(room, 'while Bob was away');
  const later = await App.of(bob.person);
  await later.joins(room);
  await ada.says(room, 'after');
  await later.hears('after');
  await sleep(300);
  assert.deepEqual(later.heard(), ['after']);
  assert.deepEqual((await later.reads(room)).map(({ content }) => content), ['before', 'while Bob was away', 'after']);
});

test('only sockets that sent joinIfExists:room hear a room', async () => {
  const [ada, bob] = await apps('ada', 'bob');
  const tab = await App.of(bob.person);
  const native = await bob.person.connect();
  const room = await ada.creates();
  await bob.joins(room);
  // Ada made it and is a member of it, and has not joined.
  await ada.says(room, 'does anybody hear?');
  await bob.hears('does anybody hear?');
  await native.seesMessage('does anybody hear?');
  for (const silent of [ada, tab]) await silent.socket.seesNothing('updateRoomClients', 300);
  await tab.joins(room);
  await ada.joins(room);
  await bob.says(room, 'now all do');
  for (const app of [ada, bob, tab]) await app.hears('now all do');
  // Of this room; another one is another matter.
  const other = await ada.creates();
  await ada.joins(other);
  await ada.says(other, 'elsewhere');
  await ada.hears('elsewhere');
  await bob.socket.seesNothing('updateRoomClients', 300, (e) => e.roomId === other.id);
});

// What the page does: it opens a new socket when its view is mounted again, and leaves the old ones open. All of
// them return after a break, in any order; only the last one of each tab has joined a room.
const BREAKS = {
  'the line breaks': async (own, line) => {
    line.breaks();
    line.works();
  },
  'the line breaks and the server has not noticed': async (own, line) => line.losesClients(),
  'the server is stopped and started again': (own) => own.restart(),
  'the server is killed and started again': async (own) => {
    await own.crash();
    await own.run();
  },
};

/** Two tabs of one user in two rooms, and the sockets that their pages have left open. */
async function tabs(own, writer, line, transports, leftOpen) {
  const person = await own.person('bob');
  const rooms = [await writer.creates(), await writer.creates()];
  const options = { at: line.url, transports, reconnectionDelay: 50 };
  const apps = [];
  for (let number = 0; number < leftOpen + 2; number++) apps.push(await App.of(person, options));
  for (const [number, room] of rooms.entries()) await apps[leftOpen + number].joins(room);
  return { apps, rooms, what: `${transports}, ${leftOpen} left open` };
}

for (const [what, breaks] of Object.entries(BREAKS)) {
  test(`after ${what}, each tab is in its own room, whatever sockets its page has left open`, async (t) => {
    const own = await Server.start({ t, port: 0, settings: SETTINGS });
    const line = await Line.to(own, t);
    // Another line: it finds the server again on another port.
    const writer = await App.of(await own.person('ada'), { at: (await Line.to(own, t)).url });
    const visits = [];
    for (const transports of [['polling', 'websocket'], ['websocket'], ['polling']]) {
      for (const leftOpen of [0, 1, 3]) visits.push(await tabs(own, writer, line, transports, leftOpen));
    }
    const everyone = visits.flatMap(({ apps }) => apps);
    await breaks(own, line);
    await Promise.all([writer, ...everyone].map((app) => app.isBack()));
    for (const { socket } of everyone) assert.equal(socket.socket.recovered, false, 'what was missed is not sent again');
    for (const { rooms } of visits) {
      for (const room of rooms) await writer.says(room, `in ${room.name}`);
    }
    for (const { apps, rooms, what } of visits) {
      const [left, inRooms] = [apps.slice(0, -2), apps.slice(-2)];
      const texts = rooms.map((room) => `in ${room.name}`);
      for (const [number, app] of inRooms.entries()) await app.hears(texts[number]);
      assert.deepEqual(apps.map((app) => app.heard()), [...left.map(() => []), ...texts.map((text) => [text])], what);
    }
  });
}

test('who left by themselves gets nothing back', async (t) => {
  const own = await Server.start({ t, settings: SETTINGS });
  const [ada, bob] = await own.people('ada', 'bob');
  const [phone, laptop] = [await App.of(ada), await App.of(bob)];
  const room = await phone.creates();
  await laptop.joins(room);
  laptop.socket.socket.disconnect();
  await isLeftWith(1, own);
  laptop.socket.forgets();
  laptop.socket.open();
  await laptop.socket.sees('connect');
  await phone.says(room, 'are you there?');
  await laptop.socket.seesNothing('updateRoomClients');
  await laptop.joins(room);
  await phone.says(room, 'now?');
  await laptop.hears('now?');
});

test('a member who was put out hears nothing more, at once, and can neither write nor read', async () => {
  const [ada, bob] = await apps('ada', 'bob');
  const room = await ada.creates();
  for (const app of [ada, bob]) await app.joins(room);
  await ada.says(room, 'welcome');
  await bob.hears('welcome');
  const out = await ada.person.request('DELETE', `/api/rooms/${room.id}/members/${bob.person.username}`);
  assert.ok([200, 204].includes(out.status), out.text);
  await ada.says(room, 'he is gone');
  await ada.hears('he is gone');
  await bob.socket.seesNothing('updateRoomClients', 400, (e) => e.content === 'he is gone');
  await bob.fails('not_a_member', 'create:message', { roomId: room.id, content: 'but I' });
  await bob.fails('not_a_member', 'getForARoom:messages', { roomId: room.id });
  // Whoever knows the password comes back; joining is what makes one hear.
  await bob.joins(room);
  await ada.says(room, 'here he is');
  await bob.hears('here he is');
});

test('the 21st connection closes the oldest one, and is let in', async () => {
  const person = await server.person('ada');
  const tabs = [];
  for (let i = 0; i < 20; i++) tabs.push(await App.of(person));
  const room = await tabs[1].creates();
  for (const tab of tabs) await tab.joins(room);
  const last = await App.of(person);
  await tabs[0].socket.disconnects();
  await last.joins(room);
  await last.says(room, 'I am in');
  for (const tab of [...tabs.slice(1), last]) await tab.hears('I am in');
  // The closed one does not come back and push out the next.
  await sleep(1_500);
  const still = [...tabs, last].map((tab) => tab.socket.socket.connected);
  assert.deepEqual(still, [false, ...Array(20).fill(true)]);
  for (const tab of [...tabs.slice(1), last]) assert.deepEqual(tab.socket.seen('disconnect'), []);
});

for (const transport of ['websocket', 'polling']) {
  test(`when the token ends, the ${transport} closes, the app comes back and shows the refusal`, async (t) => {
    const own = await Server.start({ t, settings: { AUTH__TOKEN_TTL: '3s', AUTH__LEEWAY: '0s' } });
    const person = await own.person('ada');
    const app = await App.of(person, { transports: [transport] });
    const reason = await app.socket.disconnects();
    // Of `io server disconnect` the stock client would not come back, and the app show nothing.
    assert.notEqual(reason, 'io server disconnect');
    assert.notEqual(reason, 'io client disconnect');
    const error = await app.socket.sees('connect_error', (e) => e.message === 'Not Authorized');
    assert.equal(error.message, 'Not Authorized');
    assert.equal(app.socket.seen('connect').length, 1);
    // With a new login it goes on.
    await person.logsIn();
    app.socket.socket.auth = { token: person.token };
    app.socket.forgets();
    app.socket.open();
    await app.socket.sees('connect');
    assert.ok(Array.isArray(await app.gets('get:rooms')));
  });
}

test('who somebody is, the token says: ids and names in payloads are ignored', async () => {
  const [ada, bob] = await apps('ada', 'bob');
  const room = await ada.gets('create:room', { roomName: `not ${bob.person.username}'s`, roomPwd: PASSWORD, userUUID: bob.person.id });
  assert.equal(room.ownerId, ada.person.id);
  for (const userUUID of [undefined, null, 7, NOBODY]) {
    const joined = await ada.gets('joinIfExists:room', { roomName: room.name, roomPwd: PASSWORD, userUUID });
    assert.deepEqual(joined, room);
  }
  for (const claim of [
    { userId: bob.person.id, userName: bob.person.username }, { userId: NOBODY }, { userName: '' }, { userId: 7, userName: {} }, {},
  ]) {
    const said = await ada.gets('create:message', { roomId: room.id, content: 'it is me', ...claim });
    assert.deepEqual([said.userId, said.user.name], [ada.person.id, ada.person.username]);
  }
});

test('a room password is required, and never comes back', async () => {
  const [ada, bob] = await apps('ada', 'bob');
  for (const roomPwd of [undefined, null, '', 7, {}]) {
    await ada.fails('bad_request', 'create:room', { roomName: `open ${ada.person.username}`, roomPwd });
  }
  for (const roomName of [undefined, null, '', 7]) await ada.fails('bad_request', 'create:room', { roomName, roomPwd: PASSWORD });
  const roomPwd = `secret-of-${ada.person.username}`;
  const room = await ada.creates(undefined, roomPwd);
  await bob.socket.sees('updateRoomsDropdowns', (e) => e.id === room.id);
  await bob.fails(['bad_request', 'wrong_password'], 'joinIfExists:room', { roomName: room.name });
  await bob.joins(room, roomPwd);
  await ada.joins(room, roomPwd);
  await bob.says(room, 'hi');
  await ada.hears('hi');
  await Promise.all([ada, bob].map((app) => app.gets('get:rooms')));
  for (const app of [ada, bob]) {
    assert.ok(app.socket.received.length > 4);
    for (const packet of app.socket.received) {
      assert.ok(!packet.includes(roomPwd) && !/argon2|password_?hash/i.test(packet), brief(packet));
    }
  }
});

test('the name that the app gives is shown to everyone, also after a restart', async (t) => {
  const own = await Server.start({ t, settings: SETTINGS });
  const [ada, bob] = await own.people('ada', 'bob');
  const [phone, laptop] = [await App.of(ada), await App.of(bob)];
  const room = await phone.creates();
  await laptop.joins(room);
  await phone.says(room, 'before');
  assert.equal((await laptop.hears('before')).user.name, ada.username, 'without a name it is the username');
  await phone.introduces('Ada from the app', 'ada@example.com');
  await phone.says(room, 'after');
  assert.equal((await laptop.hears('after')).user.name, 'Ada from the app');
  const check = async (app) => {
    assert.deepEqual((await app.reads(room)).map(({ user }) => user.name), Array(2).fill('Ada from the app'));
    const listed = (await app.gets('get:rooms')).find(({ id }) => id === room.id);
    assert.deepEqual(listed.owner, { id: ada.id, name: 'Ada from the app' });
    assert.deepEqual((await app.joins({ ...room, owner: listed.owner })).owner, listed.owner);
  };
  await check(laptop);
  await own.restart();
  for (const app of [phone, laptop]) app.socket.close();
  const again = await App.of(bob);
  await check(again);
  const me = await (await App.of(ada)).introduces('Somebody else', 'else@example.com');
  // Her e-mail address takes her password, so it is not stored, and the app sees what it has sent.
  assert.deepEqual([me.name, me.email], ['Ada from the app', 'else@example.com'], 'the name that is known stays');
});

test('the name and the e-mail of an account are not overwritten, and the e-mail is for oneself', async () => {
  const person = await server.person('ada', { firstName: 'Augusta', email: 'augusta@example.com' });
  const [bob] = await apps('bob');
  const ada = await App.of(person);
  const me = await ada.introduces('Ada from the app', 'app@example.com');
  assert.deepEqual([me.name, me.email], ['Augusta', 'augusta@example.com']);
  const room = await ada.creates();
  assert.equal(room.owner.name, 'Augusta');
  await bob.joins(room);
  await ada.joins(room);
  await ada.says(room, 'hello');
  assert.equal((await bob.hears('hello')).user.name, 'Augusta');
  await bob.introduces('Bob', `${person.username}@secret.example.com`);
  await bob.says(room, 'hi');
  await ada.hears('hi');
  await Promise.all([ada.gets('get:rooms'), ada.reads(room), bob.gets('get:rooms'), bob.reads(room)]);
  assert.ok(!bob.socket.received.join().includes('augusta@example.com'));
  assert.ok(!ada.socket.received.join().includes('secret.example.com'));
  // The same account over HTTP.
  const { body } = await bob.person.request('GET', `/api/users/${person.username}`);
  assert.ok(!('email' in body), brief(body));
});

test('300 messages come whole and in order, the oldest first', async () => {
  const [ada, bob] = await apps('ada', 'bob');
  const room = await ada.creates();
  for (const app of [ada, bob]) await app.joins(room);
  const contents = seqsTo(300).map((i) => `message ${i}`);
  for (let i = 0; i < 300; i += 100) {
    // Not more at once than may wait to be handled; within a batch nothing is waited for.
    await Promise.all(contents.slice(i, i + 100).map((content) => ada.says(room, content)));
  }
  assert.deepEqual((await bob.reads(room)).map(({ content }) => content), contents);
  await bob.socket.seesMany('updateRoomClients', 300);
  assert.deepEqual(bob.heard(), contents, 'live, too');
});

test('who is not a member can neither read nor write, and who asks for nonsense is told so', async () => {
  const [ada, eve] = await apps('ada', 'eve');
  const room = await ada.creates();
  await ada.joins(room);
  await eve.fails('not_a_member', 'getForARoom:messages', { roomId: room.id });
  await eve.fails('not_a_member', 'create:message', { roomId: room.id, content: 'let me in' });
  for (const roomId of [NOBODY, 'no id', '']) {
    await eve.fails('not_found', 'getForARoom:messages', { roomId });
    await eve.fails('not_found', 'create:message', { roomId, content: 'hello?' });
  }
  for (const payload of [{}, null, 7, 'text', [], { roomId: 7 }, { roomId: null }]) {
    await ada.fails('bad_request', 'getForARoom:messages', payload);
    await ada.fails('bad_request', 'create:message', payload);
  }
  for (const content of [undefined, null, 7, { deep: true }]) {
    await ada.fails('bad_request', 'create:message', { roomId: room.id, content });
  }
  await ada.fails('too_large', 'create:message', { roomId: room.id, content: 'x'.repeat(20_000) });
  await ada.fails('not_found', 'delete:room', { roomId: room.id });
  await ada.says(room, 'and it goes on');
  await ada.hears('and it goes on');
  assert.deepEqual((await ada.reads(room)).map(({ content }) => content), ['and it goes on']);
});

test('without a callback the effect is the same', async () => {
  const [ada, bob] = await apps('ada', 'bob');
  const name = `quiet ${ada.person.username}`;
  ada.socket.socket.emit('create:room', { roomName: name, roomPwd: PASSWORD });
  const room = await bob.socket.sees('updateRoomsDropdowns', (e) => e.name === name);
  ada.socket.socket.emit('joinIfExists:room', { roomName: name, roomPwd: PASSWORD });
  ada.socket.socket.emit('create:message', { roomId: room.id, content: 'no answer wanted' });
  await ada.hears('no answer wanted');
});

test('any text comes back as it was written', async () => {
  const [ada, bob] = await apps('ada', 'bob');
  const room = await ada.creates(`日本語 <b>"room"</b> of ${ada.person.username}`);
  await bob.joins(room);
  for (const text of ['<img src=x onerror=alert(1)>', 'a\u0000b', '👩‍👩‍👧‍👦', ' . ', 'line\nbreak', '"\\']) {
    await ada.says(room, text);
    await bob.hears(text);
  }
});

test('behind a proxy that knows no WebSocket, polling does, and thirty reloads are thirty visits', async (t) => {
  // A poll that the server has not read when its client is gone tells it nothing. Then the heartbeat does.
  const settings = { ...SETTINGS, SERVER__PING_INTERVAL: '1s', SERVER__PING_TIMEOUT: '10s' };
  const own = await Server.start({ t, settings });
  const writer = await App.of(await own.person('ada'));
  const room = await writer.creates();
  const person = await own.person('bob');
  const proxy = await DevProxy.to({ '/': own.url }, t);
  // More than the connections that a user may have.
  for (let visit = 1; visit <= 30; visit++) {
    const app = await App.of(person, { at: proxy.url });
    await app.joins(room);
    await writer.says(room, `visit ${visit}`);
    await app.hears(`visit ${visit}`);
    assert.equal(app.socket.transport, 'polling');
    assert.deepEqual(app.socket.seen('disconnect'), []);
    // The page is gone in the middle of its poll, and says nothing more.
    await until('a poll', () => proxy.polls.size > 0);
    app.socket.socket.io.reconnection(false);
    proxy.losesClients();
    await isLeftWith(1, own);
  }
});

test('switched off, none of it is there', async (t) => {
  const own = await Server.start({ t, settings: { DIALECTS__ROOMS: 'false' } });
  const ada = await own.person('ada');
  const app = await App.of(ada);
  for (const event of ['get:rooms', 'create:room', 'createIfNotExists:user']) {
    await app.fails('not_found', event, { roomName: 'x', roomPwd: 'y' });
  }
  await own.restart({ DIALECTS__LOBBY: 'false' });
  await own.refuses({ namespace: '/', auth: { token: ada.token } });
  await ada.connect();
});

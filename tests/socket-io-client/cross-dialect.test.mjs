// Different front ends in one group: what one of them says, all of them show, in the same order, and the
// delivery status is right for those that acknowledge.
//
// A front end is a class below with the same few methods; whoever adds a dialect adds a class to `FRONT_ENDS`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Chat, Server, assertMessage, brief, seqsTo, sleep, until } from './harness.mjs';

const PASSWORD = 'open sesame';
const server = await Server.start({
  settings: { LIMITS__EVENTS_PER_SECOND: '10000', LIMITS__EVENTS_BURST: '10000', PRESENCE__GRACE: '1s' },
});

/** A group, as all of them know it. */
class Group {
  constructor(id, name) {
    Object.assign(this, { id, name });
  }
}

/** On the namespace /chat, with the token in `auth`. */
class Native {
  /** Whether its socket moves the user's `delivered` receipt. */
  static acknowledges = true;

  static async of(person) {
    const app = new this();
    return Object.assign(app, { person, socket: await person.connect() });
  }

  async makes(name) {
    const group = await this.socket.does('createGroup', { groupName: name, password: PASSWORD });
    return new Group(group.groupId, name);
  }

  joins(group) {
    return this.socket.does('joinGroup', { groupName: group.name, password: PASSWORD });
  }

  async says(group, content) {
    assertMessage(await this.socket.does('groupMessage', { receiver: group.id, content }));
  }

  /** What it has shown so far: who said what. */
  shown(group) {
    return this.socket.messages(group.id).map(({ sender, content }) => ({ sender, content }));
  }

  async history(group) {
    const { messages } = await this.socket.does('history', { receiver: group.id, group: true, limit: 200 });
    return messages.map(({ sender, content }) => ({ sender, content }));
  }
}

/** HTTP under /web, and the token in the socket's query. It has no joining: its users are put into groups. */
class Angular extends Native {
  static async of(person) {
    const login = await person.server.request('POST', '/web/login', { username: person.username });
    assert.equal(login.status, 200, login.text);
    const app = Object.assign(new this(), { person, token: login.headers.get('auth-token') });
    app.socket = person.server.dial({ query: { token: app.token } }, person.username);
    assert.equal((await app.socket.isAnswered()).event, 'connect');
    return app;
  }

  #request(method, path, body) {
    return server.request(method, path, body, { cookie: `chatToken=${this.token}` });
  }

  async makes(name) {
    const { status, body, text } = await this.#request('POST', '/web/group', { groupName: name, users: [] });
    assert.equal(status, 200, text);
    const group = new Group(body.newGroup.groupId, name);
    // It makes groups without a password; the other front ends ask for one.
    await this.person.request('PATCH', `/api/rooms/${group.id}`, { password: PASSWORD });
    return group;
  }

  async joins(group) {
    const { status, text } = await this.person.request('POST', `/api/rooms/${group.id}/join`, { password: PASSWORD });
    assert.equal(status, 200, text);
  }

  async history(group) {
    const { status, body, text } = await this.#request('GET', `/web/messages/${this.person.username}/${group.id}?group=yes`);
    assert.equal(status, 200, text);
    return body.map(({ sender, content }) => ({ sender, content }));
  }
}

/** The same events on a plain WebSocket. */
class Plain extends Native {
  static async of(person) {
    return Object.assign(new this(), { person, socket: await new PlainSocket(person).open() });
  }
}

/** With the words of a `Connection`, as far as they are used here. */
class PlainSocket extends Chat {
  does(event, payload) {
    return this.asks(event, payload);
  }

  seen(event, wanted = () => true) {
    return this.frames.filter((frame) => frame.event === event).map(({ data }) => data).filter(wanted);
  }

  messages(roomId) {
    return this.seen('response').map(({ response }) => response).filter((message) => message.roomId === roomId);
  }

  async sees(event, wanted = () => true) {
    await until(`${event} on a plain WebSocket`, () => this.seen(event, wanted).length > 0);
    return this.seen(event, wanted).at(-1);
  }

  async seesMessage(content) {
    return (await this.sees('response', ({ response }) => response.content === content)).response;
  }
}

/** On the namespace `/`: shows names, hears only what it has joined, acknowledges nothing. */
class Rooms {
  static acknowledges = false;

  static async of(person) {
    const socket = person.dial({ namespace: '/' });
    assert.equal((await socket.isAnswered()).event, 'connect');
    const app = Object.assign(new this(), { person, socket });
    await app.#does('createIfNotExists:user', { name: person.username, email: `${person.username}@example.com` });
    return app;
  }

  async #does(event, payload) {
    const answer = await this.socket.asks(event, payload);
    assert.ok(answer && !answer.error, `${event}: ${brief(answer)}`);
    return answer;
  }

  async makes(name) {
    const room = await this.#does('create:room', { roomName: name, roomPwd: PASSWORD });
    return new Group(room.id, name);
  }

  joins(group) {
    return this.#does('joinIfExists:room', { roomName: group.name, roomPwd: PASSWORD });
  }

  says(group, content) {
    return this.#does('create:message', { roomId: group.id, content });
  }

  shown(group) {
    return this.socket.seen('updateRoomClients', ({ roomId }) => roomId === group.id).map(asSaid);
  }

  async history(group) {
    return (await this.#does('getForARoom:messages', { roomId: group.id })).map(asSaid);
  }
}

const asSaid = ({ user, content }) => ({ sender: user.name, content });

const FRONT_ENDS = [Native, Angular, Plain, Rooms];

/** Somebody at each of these front ends. */
async function one(FrontEnd) {
  return FrontEnd.of(await server.person(FrontEnd.name.toLowerCase()));
}

async function everyone() {
  return Promise.all(FRONT_ENDS.map(one));
}

let groups = 0;

/** A group that `maker` made, with all of them in it. */
async function together(maker, all) {
  const group = await maker.makes(`group ${++groups} of ${maker.person.username}`);
  for (const app of all) await app.joins(group);
  return group;
}

const shows = (app, group, content) =>
  until(`${app.person.username} shows ${content}`, () => app.shown(group).some((said) => said.content === content));

for (const [i, { name }] of FRONT_ENDS.entries()) {
  test(`in a group that was made at the front end ${name}, everyone hears everyone`, async () => {
    const all = await everyone();
    const group = await together(all[i], all);
    const said = [];
    for (const app of all) {
      const content = `from ${app.person.username}`;
      await app.says(group, content);
      said.push({ sender: app.person.username, content });
    }
    for (const app of all) {
      await until(`${app.person.username} shows all of it`, () => app.shown(group).length >= said.length);
      assert.deepEqual(app.shown(group), said);
      assert.deepEqual(await app.history(group), said);
    }
  });
}

test('whatever is said at once, all of them show in the same order', async () => {
  const all = await everyone();
  const group = await together(all[0], all);
  await Promise.all(all.flatMap((app) => seqsTo(30).map((i) => app.says(group, `${app.person.username} ${i}`))));
  for (const app of all) await until('everything is shown', () => app.shown(group).length >= 30 * all.length);
  const order = await all[0].history(group);
  assert.equal(order.length, 30 * all.length);
  for (const app of all) {
    assert.deepEqual(app.shown(group), order);
    const own = order.filter(({ sender }) => sender === app.person.username);
    assert.deepEqual(own.map(({ content }) => content), seqsTo(30).map((i) => `${app.person.username} ${i}`));
  }
});

test('among those that acknowledge, what has arrived is reported as delivered', async () => {
  const all = await Promise.all(FRONT_ENDS.filter(({ acknowledges }) => acknowledges).map(one));
  const group = await together(all[0], all);
  for (const app of all) {
    await app.says(group, `delivered from ${app.person.username}`);
    const { response } = await app.socket.sees('updateDeliveryStatusOnConnection', (e) => e.response.content.endsWith(app.person.username));
    assertMessage(response);
    assert.deepEqual([response.roomId, response.deliveredToAll], [group.id, true]);
  }
});

test('in private, each of them reaches each other one, and hears that it has arrived', async () => {
  const all = await Promise.all(FRONT_ENDS.filter(({ acknowledges }) => acknowledges).map(one));
  for (const from of all) {
    for (const to of all.filter((app) => app !== from)) {
      const content = `from ${from.person.username} to ${to.person.username}`;
      const sent = await from.socket.does('privateMessage', { receiver: to.person.username, content });
      assertMessage(sent);
      assert.deepEqual(await to.socket.seesMessage(content), { ...sent, deliveredToAll: false });
      const { response } = await from.socket.sees('updateDeliveryStatusOnConnection', (e) => e.response.content === content);
      assert.deepEqual(response, { ...sent, deliveredToAll: true });
    }
  }
  // One conversation a pair, the same from both ends.
  for (const app of all) {
    const mine = await app.person.request('GET', '/api/rooms/mine');
    assert.deepEqual(mine.body.map(({ lastSeq, delivered }) => [lastSeq, delivered]), all.slice(1).map(() => [2, 2]));
  }
});

for (const Silent of FRONT_ENDS.filter(({ acknowledges }) => !acknowledges)) {
  test(`${Silent.name} acknowledges nothing: delivered is what its user got elsewhere`, async () => {
    const [bob, ada, cyd] = await Promise.all([one(Native), one(Angular), one(Silent)]);
    const group = await together(bob, [bob, ada, cyd]);
    await bob.says(group, 'has it arrived?');
    for (const app of [ada, cyd]) await shows(app, group, 'has it arrived?');
    await ada.socket.seesMessage('has it arrived?');
    await sleep(500);
    const told = () => bob.socket.seen('updateDeliveryStatusOnConnection', (e) => e.response.roomId === group.id);
    assert.deepEqual(told(), [], 'one of them has not acknowledged it');
    const mine = await cyd.person.request('GET', '/api/rooms/mine');
    assert.equal(mine.body.find(({ roomId }) => roomId === group.id).delivered, 0);
    // The same user with a client that acknowledges, which is also sent what the other one has shown.
    const phone = await cyd.person.connect();
    await phone.seesMessage('has it arrived?');
    await bob.socket.sees('updateDeliveryStatusOnConnection', (e) => e.response.content === 'has it arrived?');
    assert.equal(told().length, 1);
  });
}

test('who is put out of a group hears nothing more at whatever front end', async () => {
  const all = await everyone();
  const owner = await one(Native);
  const group = await together(owner, [owner, ...all]);
  for (const app of all) await owner.socket.does('removeMember', { groupId: group.id, username: app.person.username });
  await owner.says(group, 'they are gone');
  await shows(owner, group, 'they are gone');
  await sleep(400);
  for (const app of all) assert.deepEqual(app.shown(group), []);
});

test('everyone who is online is shown so, at whatever front end they are', async () => {
  const watcher = await one(Native);
  for (const FrontEnd of FRONT_ENDS) {
    const app = await one(FrontEnd);
    const { username } = app.person;
    await watcher.socket.sees('onlineStatus', (e) => e.username === username && e.online);
    app.socket.close();
    await watcher.socket.sees('onlineStatus', (e) => e.username === username && !e.online);
  }
});

test('the rooms app hears nothing of private talk', async () => {
  const [native, rooms] = await Promise.all([one(Native), one(Rooms)]);
  await native.socket.tells(rooms.person, 'between us');
  await native.socket.does('lobbyMessage', { content: 'to everyone' });
  const phone = await rooms.person.connect();
  await phone.seesMessage('between us');
  await rooms.socket.seesNothing('updateRoomClients');
});

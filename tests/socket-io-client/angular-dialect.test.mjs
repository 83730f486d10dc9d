// The Angular front end of seed 4, as its service code does it: HTTP with the cookie under /web on one
// port, a socket with the token in its query on another, and a browser in between that keeps cookies
// and shows a page only what CORS lets it see.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DevProxy, Server, assertGroup, assertMessage, assertProblem, assertUser, brief, decoded, seqsTo, tampered, until,
} from './harness.mjs';

const ORIGIN = 'http://localhost:4200';
const NOBODY = '0190a000-0000-7000-8000-000000000000';
const SETTINGS = {
  // As the app is set up: sockets on the first port, HTTP on the second.
  SERVER__LISTEN: '127.0.0.1:0,127.0.0.1:0',
  PRESENCE__GRACE: '1s',
  LIMITS__EVENTS_PER_SECOND: '10000',
  LIMITS__EVENTS_BURST: '10000',
};

/** One browser: its cookies, which all its tabs share, and its CORS. */
class Browser {
  cookies = new Map();

  constructor(server, origin = ORIGIN) {
    this.server = server;
    this.origin = origin;
    this.http = server.urls[1];
  }

  /** As Angular's HttpClient with `{ withCredentials: true }` in an interceptor. */
  async request(method, path, body) {
    if (method !== 'GET') await this.#preflight(method, path);
    const cookie = [...this.cookies].map(([name, { value }]) => `${name}=${value}`).join('; ');
    const answer = await fetch(this.http + path, {
      method,
      headers: {
        origin: this.origin,
        ...(cookie && { cookie }),
        ...(body && { 'content-type': 'application/json' }),
      },
      body: body && JSON.stringify(body),
    });
    for (const line of answer.headers.getSetCookie()) this.#keep(line);
    const text = await answer.text();
    this.#mayRead(answer, `${method} ${path}: ${answer.status} ${text}`);
    const shown = new Set(['content-type', ...list(answer, 'access-control-expose-headers')]);
    const headers = new Headers([...answer.headers].filter(([name]) => shown.has(name)));
    return { status: answer.status, headers, text, body: text && JSON.parse(text) };
  }

  /** Without the checks of a page that is not allowed to read the answer. */
  blind(method, path, body) {
    return this.server.request(method, path, body, { origin: this.origin });
  }

  async #preflight(method, path) {
    const answer = await fetch(this.http + path, {
      method: 'OPTIONS',
      headers: {
        origin: this.origin, 'access-control-request-method': method, 'access-control-request-headers': 'content-type',
      },
    });
    this.#mayRead(answer, `preflight of ${path}`);
    assert.ok(list(answer, 'access-control-allow-methods').includes(method.toLowerCase()), path);
    assert.ok(list(answer, 'access-control-allow-headers').includes('content-type'), path);
  }

  #mayRead(answer, what) {
    assert.equal(answer.headers.get('access-control-allow-origin'), this.origin, what);
    assert.equal(answer.headers.get('access-control-allow-credentials'), 'true', what);
  }

  #keep(line) {
    const [pair, ...attributes] = line.split('; ');
    const [name, value] = pair.split('=');
    this.cookies.set(name, { value, attributes });
  }
}

const list = (answer, name) => (answer.headers.get(name) ?? '').toLowerCase().split(/,\s*/);

/** One tab with the app in it: its HttpService and its ChatSocketService. */
class App {
  loggedIn = false;
  sender = null;
  authToken = null;
  socket = null;
  page = null;

  constructor(server, browser = new Browser(server), { transports, at } = {}) {
    Object.assign(this, { server, browser, transports, at });
  }

  get(path) {
    return this.browser.request('GET', path);
  }

  /** As `get`, for what must succeed. */
  async gets(path) {
    const answer = await this.get(path);
    assert.equal(answer.status, 200, `${path}: ${answer.text}`);
    return answer.body;
  }

  async login(username) {
    const answer = await this.browser.request('POST', '/web/login', { username });
    if (answer.status !== 200) return answer;
    this.loggedIn = true;
    this.sender = username;
    this.authToken = answer.headers.get('auth-token');
    assert.notEqual(this.authToken, null, 'AuthToken not set in headers');
    await this.startWSConnection();
    return answer;
  }

  /** APP_INITIALISER: at every load of the page. */
  async starts() {
    const answer = await this.get('/web/loggedIn');
    if (answer.status !== 200) {
      this.page = '/login';
      return answer;
    }
    this.loggedIn = true;
    this.sender = answer.body.username;
    this.authToken = answer.headers.get('auth-token');
    await this.startWSConnection();
    return answer;
  }

  async startWSConnection() {
    // `response` is acknowledged by the harness, with `{ success: true, receiver: <the sender> }`.
    this.socket = this.server.dial(
      {
        query: { token: this.authToken },
        extraHeaders: { origin: this.browser.origin },
        ...(this.transports && { transports: this.transports }),
        ...(this.at && { at: this.at }),
      },
      this.sender,
    );
    this.socket.socket.on('connect_error', () => (this.page = '/login'));
    this.socket.socket.on('token-expired', () => this.invalidateSession());
    const { event, data } = await this.socket.isAnswered();
    assert.equal(event, 'connect', data?.message);
  }

  invalidateSession() {
    this.sender = null;
    this.loggedIn = false;
    this.socket.socket.disconnect();
    this.page = '/login';
  }

  /** The page is loaded anew: all that is left is the cookie. */
  async reloads() {
    this.socket.close();
    const next = new App(this.server, this.browser, this);
    await next.starts();
    return next;
  }

  /** Emits with a callback, and returns the Message of `{ success, response }`. */
  async sends(event, receiver, content) {
    const ack = await this.socket.asks(event, { sender: this.sender, receiver, content });
    assert.deepEqual(Object.keys(ack), ['success', 'response'], brief(ack));
    assert.equal(ack.success, true);
    return ack.response;
  }

  messages(receiver, group = 'no', sender = this.sender) {
    return this.gets(`/web/messages/${sender}/${receiver}?group=${group}`);
  }
}

const server = await Server.start({ settings: SETTINGS });

/** Accounts, and an app for each, signed in on a browser of its own. */
async function apps(...names) {
  const people = await server.people(...names);
  return Promise.all(people.map(async ({ username }) => {
    const app = new App(server);
    assert.equal((await app.login(username)).status, 200);
    return app;
  }));
}

/** Ada's group with Bob in it, as the app makes one. */
async function group(ada, ...others) {
  const { users } = await ada.gets(`/web/all/${ada.sender}`);
  const chosen = users.filter((user) => others.some((other) => other.sender === user.username));
  const answer = await ada.browser.request('POST', '/web/group', {
    groupName: `tea of ${ada.sender}`, users: chosen,
  });
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(Object.keys(answer.body), ['newGroup']);
  return answer.body.newGroup;
}

test('the login page lists everyone, to a browser with no cookie and with a dead one', async () => {
  const person = await server.person('ada', { email: 'ada@example.com' });
  const app = new App(server);
  for (const value of [null, 'rubbish', tampered(person.token)]) {
    if (value) app.browser.cookies.set('chatToken', { value });
    const body = await app.gets('/web/users');
    assert.deepEqual(Object.keys(body), ['users']);
    body.users.forEach(assertUser);
    assert.ok(body.users.some((user) => user.username === person.username));
  }
});

test('a name signs in: a sentence, the header that the page may read, the cookie that it may not', async () => {
  const { username } = await server.person('ada');
  const app = new App(server);
  app.browser.cookies.set('chatToken', { value: 'dead' });
  const answer = await app.login(username);
  assert.deepEqual(Object.keys(answer.body), ['response']);
  assert.match(answer.body.response, /^\S+ \S+/, 'a sentence');
  const { value, attributes } = app.browser.cookies.get('chatToken');
  assert.equal(value, app.authToken);
  assert.deepEqual(attributes.filter((it) => !it.startsWith('Max-Age')), ['HttpOnly', 'SameSite=Lax', 'Path=/']);
  assert.equal(decoded(app.authToken).claims.sub, username);
});

test('who is not there cannot sign in', async () => {
  const person = await server.person('ada');
  const app = new App(server);
  for (const username of ['nobody-of-that-name', '', 'x', 'a\u0000b', person.id]) {
    assertProblem(await app.browser.request('POST', '/web/login', { username }), 404, 'not_found');
  }
  for (const body of [{}, { username: null }, { username: 5 }]) {
    assertProblem(await app.browser.request('POST', '/web/login', body), 400, 'bad_request');
  }
  assert.equal(app.browser.cookies.size, 0);
  assert.equal((await app.browser.request('POST', '/web/login', { username: person.username.toUpperCase() })).status, 200);
});

test('a reload goes on with the cookie: the same token comes back in the header', async () => {
  const [ada, bob] = await apps('ada', 'bob');
  ada.socket.forgets();
  const again = await bob.reloads();
  assert.deepEqual([again.sender, again.authToken], [bob.sender, bob.authToken]);
  await again.sends('privateMessage', ada.sender, 'back');
  await ada.socket.seesMessage('back');
  await ada.socket.seesNothing('onlineStatus', 1_500, (e) => e.username === bob.sender && !e.online);
});

test('without a live token the app goes to its login, and can log in there', async () => {
  const fresh = new App(server);
  assertProblem(await fresh.starts(), 401, 'token_missing');
  assert.equal(fresh.page, '/login');
  const [ada] = await apps('ada');
  const username = ada.sender;
  const token = ada.authToken;
  assert.equal((await ada.browser.request('POST', '/api/auth/logout')).status, 204);
  await ada.socket.sees('token-expired');
  for (const [value, code] of [[token, 'token_revoked'], [tampered(token), 'token_invalid']]) {
    ada.browser.cookies.set('chatToken', { value });
    const next = new App(server, ada.browser);
    assertProblem(await next.starts(), 401, code);
    assert.ok((await next.gets('/web/users')).users.length > 0);
  }
  assert.equal((await new App(server, ada.browser).login(username)).status, 200);
});

test('people and groups are listed to their own user', async () => {
  const [ada, bob] = await apps('ada', 'bob');
  const made = await group(ada, bob);
  for (const app of [ada, bob]) {
    const body = await app.gets(`/web/all/${app.sender}`);
    assert.deepEqual(Object.keys(body), ['users', 'groups']);
    body.users.forEach(assertUser);
    body.groups.forEach(assertGroup);
    for (const other of [ada, bob]) {
      assert.equal(body.users.find((user) => user.username === other.sender).isOnline, true, 'oneself, too');
    }
    assert.deepEqual(body.groups.map((it) => it.groupId), [made.groupId]);
    // The app looks for whoever comes online among the users of each group.
    const { users } = body.groups[0];
    users.forEach(assertUser);
    assert.deepEqual(users.map((user) => user.username).sort(), [ada.sender, bob.sender].sort());
    assert.deepEqual(users.map((user) => user.isOnline), [true, true]);
  }
  const [cyd] = await apps('cyd');
  assert.deepEqual((await cyd.gets(`/web/all/${cyd.sender}`)).groups, []);
  assertProblem(await cyd.get(`/web/all/${ada.sender}`), 403, 'forbidden');
  assertProblem(await new App(server).get(`/web/all/${ada.sender}`), 401, 'token_missing');
});

test('a private message: stored, shown, acknowledged, read back from both ends', async () => {
  const [ada, bob] = await apps('ada', 'bob');
  const sent = await ada.sends('privateMessage', bob.sender, 'hi Bob');
  assertMessage(sent);
  assert.deepEqual([sent.sender, sent.receiver, sent.group], [ada.sender, bob.sender, false]);
  assert.equal((await bob.socket.seesMessage('hi Bob')).messageId, sent.messageId);
  await ada.socket.seesMessage('hi Bob');
  const { response } = await ada.socket.sees('updateDeliveryStatusOnConnection');
  assert.deepEqual([response.messageId, response.deliveredToAll], [sent.messageId, true]);
  await bob.sends('privateMessage', ada.sender, 'hi Ada');
  for (const app of [ada, bob]) {
    for (const [one, other] of [[ada, bob], [bob, ada]]) {
      const messages = await app.messages(other.sender, 'no', one.sender);
      messages.forEach(assertMessage);
      assert.deepEqual(messages.map((message) => message.content), ['hi Bob', 'hi Ada']);
      assert.equal(messages[0].deliveredToAll, true);
    }
  }
  await ada.sends('privateMessage', ada.sender, 'note to self');
  assert.deepEqual((await ada.messages(ada.sender)).map((message) => message.content), ['note to self']);
});

test('coming and going is seen, and what was missed comes with the next login', async () => {
  const [ada, bob] = await apps('ada', 'bob');
  const username = bob.sender;
  bob.socket.close();
  const { online, lastSeen } = await ada.socket.sees('onlineStatus', (e) => e.username === username && !e.online);
  assert.equal(online, false);
  assert.match(lastSeen, /Z$/);
  const sent = await ada.sends('privateMessage', username, 'are you there?');
  assert.equal(sent.deliveredToAll, false);
  ada.socket.forgets();
  const later = new App(server);
  await later.login(username);
  await later.socket.seesMessage('are you there?');
  await ada.socket.sees('onlineStatus', (e) => e.username === username && e.online);
  const told = await ada.socket.sees('updateDeliveryStatusOnConnection');
  assert.equal(told.response.messageId, sent.messageId);
});

test('a group: its maker owns it, all of it hear newgrp, and they talk', async () => {
  const [ada, bob, cyd] = await apps('ada', 'bob', 'cyd');
  const made = await group(ada, bob);
  assertGroup(made);
  assert.deepEqual([made.owner, made.memberCount, made.hasPassword], [ada.sender, 2, false]);
  const told = () => Promise.all([ada, bob].map((app) => app.socket.sees('newgrp', (e) => e.response.groupId === made.groupId)));
  await told();
  for (const app of [ada, bob]) app.socket.forgets();
  ada.socket.socket.emit('createGroup', { groupId: made.groupId });
  await told();
  const sent = await bob.sends('groupMessage', made.groupId, 'tea?');
  assert.deepEqual([sent.receiver, sent.group], [made.groupId, true]);
  for (const app of [ada, bob]) await app.socket.seesMessage('tea?');
  await bob.socket.sees('updateDeliveryStatusOnConnection', (e) => e.response.messageId === sent.messageId);
  for (const app of [ada, bob]) {
    assert.deepEqual((await app.messages(made.groupId, 'yes')).map((message) => message.content), ['tea?']);
  }
  await cyd.socket.seesNothing('newgrp');
  assertProblem(await cyd.get(`/web/messages/${cyd.sender}/${made.groupId}?group=yes`), 403, 'not_a_member');
});

test('the users of a new group are known by their usernames alone', async () => {
  const [ada, bob] = await apps('ada', 'bob');
  const make = (body) => ada.browser.request('POST', '/web/group', body);
  const users = [{ username: bob.sender, id: NOBODY, anything: [1] }, { username: ada.sender }, { username: bob.sender.toUpperCase() }];
  const { body } = await make({ groupName: `mixed ${ada.sender}`, users });
  assert.deepEqual(body.newGroup.users.map((user) => user.username).sort(), [ada.sender, bob.sender].sort());
  const alone = await make({ groupName: `alone ${ada.sender}`, users: [] });
  assert.deepEqual(alone.body.newGroup.users.map((user) => user.username), [ada.sender]);
  assertProblem(await make({ groupName: `alone ${ada.sender}`, users: [] }), 409, 'conflict');
  assertProblem(await make({ groupName: 'x', users: [{ username: 'nobody-of-that-name' }] }), 404, 'not_found');
  for (const wrong of [{ users: [] }, { groupName: 'x' }, { groupName: '', users: [] }, { groupName: 'x', users: [{ id: NOBODY }] }, { groupName: 'x', users: [null] }]) {
    assertProblem(await make(wrong), 400, 'bad_request');
  }
  assertProblem(await new App(server).browser.request('POST', '/web/group', { groupName: 'x', users: [] }), 401, 'token_missing');
});

test('what others wrote to each other cannot be read', async () => {
  const [ada, bob, eve] = await apps('ada', 'bob', 'eve');
  await ada.sends('privateMessage', bob.sender, 'between us');
  const made = await group(ada, bob);
  const path = `/web/messages/${ada.sender}/${bob.sender}?group=no`;
  assertProblem(await eve.get(path), 403, 'forbidden');
  assertProblem(await new App(server).get(path), 401, 'token_missing');
  assertProblem(await bob.get(`/web/messages/${ada.sender}/${made.groupId}?group=yes`), 403, 'forbidden');
  assertProblem(await eve.get(`/web/messages/${eve.sender}/nobody-of-that-name?group=no`), 404, 'not_found');
  for (const id of [NOBODY, bob.sender]) {
    assertProblem(await eve.get(`/web/messages/${eve.sender}/${id}?group=yes`), 404, 'not_found');
  }
  for (const query of ['', '?group=', '?group=maybe', '?group=true']) {
    assertProblem(await ada.get(`/web/messages/${ada.sender}/${bob.sender}${query}`), 400, 'bad_request');
  }
  assert.deepEqual(await eve.messages(ada.sender), [], 'who never wrote to each other');
});

test('a long conversation comes whole and in order, up to the newest 2,000', async () => {
  const [ada, bob] = await apps('ada', 'bob');
  let sent = 0;
  // Not more at once than may wait to be handled.
  const sendUpTo = async (last) => {
    for (let next = sent + 1; next <= last; next += 200) {
      const batch = seqsTo(Math.min(last, next + 199), next);
      await Promise.all(batch.map((i) => ada.sends('privateMessage', bob.sender, `message ${i}`)));
    }
    sent = last;
  };
  await sendUpTo(450);
  const all = await bob.messages(ada.sender);
  assert.deepEqual(all.map((message) => message.content), seqsTo(450).map((i) => `message ${i}`));
  await sendUpTo(2_050);
  assert.deepEqual((await bob.messages(ada.sender)).map((message) => message.seq), seqsTo(2_050, 51));
});

test('behind its own proxy, which knows no WebSocket, the app works: it tries the upgrade, and stays with polling', async (t) => {
  const [person] = await server.people('ada');
  const [bob] = await apps('bob');
  // As `npm start` has it: one origin for everything, and two ports behind it.
  const proxy = await DevProxy.to({ '/web': server.urls[1], '/socket.io': server.urls[0] }, t);
  const browser = new Browser(server);
  browser.http = proxy.url;
  const ada = new App(server, browser, { at: proxy.url });
  await ada.login(person.username);
  await ada.sends('privateMessage', bob.sender, 'by polling');
  await bob.socket.seesMessage('by polling');
  await until('an attempt to upgrade', () => proxy.passed.some((asked) => asked.includes('transport=websocket')));
  await bob.sends('privateMessage', ada.sender, 'and back');
  await ada.socket.seesMessage('and back');
  assert.equal(ada.socket.transport, 'polling');
  assert.deepEqual(ada.socket.seen('disconnect'), []);
  const again = await ada.reloads();
  await bob.sends('privateMessage', again.sender, 'after a reload');
  await again.socket.seesMessage('after a reload');
});

test('when the token ends, the app is told, disconnects itself, and only then needs a login', async (t) => {
  const own = await Server.start({ t, settings: { ...SETTINGS, AUTH__TOKEN_TTL: '3s', AUTH__LEEWAY: '0s' } });
  const { username } = await own.person('ada');
  const app = new App(own);
  await app.login(username);
  const { response } = await app.socket.sees('token-expired');
  assert.match(response, /^\S+ \S+/, 'a sentence');
  await app.socket.disconnects();
  assert.deepEqual([app.page, app.loggedIn, app.socket.socket.active], ['/login', false, false]);
  await until('the cookie is over, too', async () => (await app.get('/web/loggedIn')).status === 401);
  assertProblem(await new App(own, app.browser).starts(), 401, 'token_expired');
  assert.equal((await app.gets('/web/users')).users.length, 1);
  assert.equal((await new App(own, app.browser).login(username)).status, 200);
});

test('pages of other origins are refused on every route', async () => {
  const { username } = await server.person('ada');
  const evil = new Browser(server, 'https://evil.example.com');
  for (const [method, path, body] of [
    ['GET', '/web/users'], ['POST', '/web/login', { username }], ['GET', '/web/loggedIn'],
    ['GET', `/web/all/${username}`], ['GET', `/web/messages/${username}/${username}?group=no`],
    ['POST', '/web/group', { groupName: 'x', users: [] }],
  ]) {
    const answer = await evil.blind(method, path, body);
    assertProblem(answer, 403, 'forbidden');
    assert.equal(answer.headers.get('access-control-allow-origin'), null);
    assert.deepEqual(answer.headers.getSetCookie(), []);
  }
});

test('only these routes are there, with only these methods', async () => {
  assertProblem(await server.request('GET', '/web/login'), 405, 'bad_request');
  assertProblem(await server.request('GET', '/web/nothing'), 404, 'not_found');
});

test('switched off, none of it is there', async (t) => {
  const own = await Server.start({ t, settings: { DIALECTS__ANGULAR: 'false' } });
  const ada = await own.person('ada');
  for (const [method, path] of [
    ['GET', '/web/users'], ['POST', '/web/login'], ['GET', '/web/loggedIn'], ['GET', `/web/all/${ada.username}`],
    ['GET', `/web/messages/${ada.username}/${ada.username}?group=no`], ['POST', '/web/group'],
  ]) {
    assertProblem(await ada.request(method, path, method === 'POST' ? { username: ada.username } : undefined), 404, 'not_found');
  }
  await ada.connect();
});

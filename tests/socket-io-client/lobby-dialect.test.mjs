// The lobby of seed 3 as a browser meets it: a login on a page elsewhere, `/?jwt=<token>` in a new window,
// a page that calls `io()` with nothing but the cookie it got there.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  Server, assertError, assertMessage, assertProblem, brief, decoded, freePort, seqsTo, sleep, tampered, until,
} from './harness.mjs';

const LOGIN_PAGE = 'http://localhost:3000';
// The web client would be at `/` otherwise.
const NOT_HELD_UP = {
  LIMITS__EVENTS_PER_SECOND: '10000', LIMITS__EVENTS_BURST: '10000', PRESENCE__GRACE: '2s', WEB__ENABLED: 'false',
};

/** A server whose own pages may connect to it: browsers name their origin there, too. */
async function serverWith(settings = {}, t) {
  const port = await freePort();
  const CORS__ORIGINS = `${LOGIN_PAGE},http://127.0.0.1:${port}`;
  return Server.start({ t, port, settings: { ...NOT_HELD_UP, CORS__ORIGINS, ...settings } });
}

/** One browser: its cookies, its windows. */
class Browser {
  cookies = new Map();

  constructor(server, name) {
    Object.assign(this, { server, name });
  }

  get #cookie() {
    return [...this.cookies].map(([name, { value }]) => `${name}=${value}`).join('; ');
  }

  /** The login page's fetch, from another origin: it may read the answer if CORS lets it. */
  async logsIn(userID, password) {
    const answer = await this.server.request('POST', '/auth/login', { userID, password }, { origin: LOGIN_PAGE });
    assert.equal(answer.headers.get('access-control-allow-origin'), LOGIN_PAGE, answer.text);
    return answer;
  }

  /** The address bar, a link, or `window.open`. */
  async opens(path) {
    const answer = await this.server.request('GET', path, undefined, this.#cookie ? { cookie: this.#cookie } : {});
    for (const line of answer.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split('; ');
      const [name, value] = pair.split('=');
      this.cookies.set(name, { value, attributes });
    }
    return answer;
  }

  /** What the page's `io()` does. */
  async runs(options = {}) {
    const page = this.server.dial({ namespace: '/', ...this.#headers(), ...options }, this.name);
    const { event, data } = await page.isAnswered();
    assert.equal(event, 'connect', data?.message);
    return page;
  }

  isRefused(origin = this.server.url) {
    return this.server.refuses({ namespace: '/', ...this.#headers(origin) });
  }

  #headers(origin = this.server.url) {
    return { extraHeaders: { origin, ...(this.#cookie && { cookie: this.#cookie }) } };
  }
}

/** From the login to the page that runs. */
async function enters(person) {
  const browser = new Browser(person.server, person.username);
  const { status, body, text } = await browser.logsIn(person.username, person.password);
  assert.equal(status, 200, text);
  assert.deepEqual(Object.keys(body), ['jwtToken']);
  isPage(await browser.opens(`/?jwt=${body.jwtToken}`));
  return { person, browser, token: body.jwtToken, page: await browser.runs() };
}

function isPage(answer) {
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.headers.get('content-type'), /^text\/html/);
  assert.equal(answer.headers.get('cache-control'), 'no-store');
}

/** `{ message }` in plain JSON, and nothing of the page. */
function isNoPage(answer, status, ...codes) {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.headers.get('content-type'), 'application/json');
  assert.match(answer.body?.message, /^\S+ \S+/, 'a sentence');
  assertError(answer.body);
  assert.ok(codes.includes(answer.body.code), answer.text);
  assert.deepEqual(answer.headers.getSetCookie(), []);
}

const server = await serverWith();

async function everyone(...names) {
  return Promise.all((await server.people(...names)).map(enters));
}

test('what is said reaches all others as a line with the name, and not the one who said it', async () => {
  const [ada, bob, cyd] = await everyone('ada', 'bob', 'cyd');
  const otherTab = await ada.browser.runs();
  ada.page.socket.emit('chat message', 'hello');
  const line = `${ada.person.username} : hello`;
  for (const page of [bob.page, cyd.page, otherTab]) assert.equal(await page.sees('chat message', (e) => e.endsWith('hello')), line);
  await ada.page.seesNothing('chat message', 400, (e) => e === line);
  bob.page.socket.emit('chat message', 'hi Ada');
  await ada.page.sees('chat message', (e) => e === `${bob.person.username} : hi Ada`);
  for (const { page } of [bob, cyd]) assert.equal(page.seen('chat message', (e) => e === line).length, 1);
});

test('native clients are in the same lobby', async () => {
  const [ada] = await everyone('ada');
  const bob = await server.person('bob');
  const phone = await bob.connect();
  const text = `from the page of ${ada.person.username}`;
  ada.page.socket.emit('chat message', text);
  const { response } = await phone.sees('lobby', (e) => e.response.content === text);
  assertMessage(response);
  assert.deepEqual([response.sender, response.kind, response.group], [ada.person.username, 'text', true]);
  const sent = await phone.does('lobbyMessage', { content: 'from the phone' });
  await ada.page.sees('chat message', (e) => e === `${bob.username} : from the phone`);
  // It is stored like everything else.
  const { messages } = await phone.does('history', { lobby: true, limit: 2 });
  assert.deepEqual(messages, [response, sent]);
  // And says nothing of rooms and private talk.
  const cyd = await server.person('cyd');
  const other = await cyd.connect();
  await other.tells(ada.person, 'between us');
  const group = await other.does('createGroup', { groupName: `not the lobby ${cyd.username}`, users: [ada.person.username] });
  await other.tellsGroup(group, 'among us');
  await ada.page.seesNothing('chat message', 400, (e) => /us$/.test(e));
});

test('coming and going is told by name, and a reload is neither', async () => {
  const [ada] = await everyone('ada');
  const [bob] = await everyone('bob');
  const name = bob.person.username;
  assert.equal(await ada.page.sees('new user', (e) => e === name), name);
  await bob.page.seesNothing('new user', 300, (e) => e === name);
  const tab = await bob.browser.runs();
  bob.page.close();
  tab.close();
  isPage(await bob.browser.opens('/'));
  const reloaded = await bob.browser.runs();
  await ada.page.seesNothing('user left', 2_500, (e) => e === name);
  assert.equal(ada.page.seen('new user', (e) => e === name).length, 1);
  reloaded.close();
  assert.equal(await ada.page.sees('user left', (e) => e === name), name);
  assert.equal(ada.page.seen('user left', (e) => e === name).length, 1);
});

test('a hundred lines come in the order they were said', async () => {
  const [ada, bob] = await everyone('ada', 'bob');
  const lines = seqsTo(100).map((i) => `line ${i}`);
  for (const line of lines) ada.page.socket.emit('chat message', line);
  const mine = (e) => e.startsWith(`${ada.person.username} : `);
  await bob.page.seesMany('chat message', 100, mine);
  assert.deepEqual(bob.page.seen('chat message', mine), lines.map((line) => `${ada.person.username} : ${line}`));
});

test('a line is a string, and any string', async () => {
  const [ada, bob] = await everyone('ada', 'bob');
  for (const text of ['<img src=x onerror=alert(1)>', 'a\u0000b', '日本語 👩‍👩‍👧‍👦', 'a : b', '"\\']) {
    ada.page.socket.emit('chat message', text);
    await bob.page.sees('chat message', (e) => e === `${ada.person.username} : ${text}`);
  }
  const before = bob.page.seen('chat message').length;
  for (const wrong of [7, null, { message: 'x' }, ['x'], true]) {
    const answer = await ada.page.asks('chat message', wrong);
    assert.deepEqual(Object.keys(answer), ['error'], brief(answer));
    assert.equal(answer.error.code, 'bad_request');
  }
  assert.equal((await ada.page.asks('chat message', 'x'.repeat(20_000))).error.code, 'too_large');
  await sleep(300);
  assert.equal(bob.page.seen('chat message').length, before);
});

test('the cookie is closed to scripts and lives as long as its token', async () => {
  const [ada] = await everyone('ada');
  const { value, attributes } = ada.browser.cookies.get('chatToken');
  assert.equal(value, ada.token);
  const [age] = attributes.filter((it) => it.startsWith('Max-Age='));
  assert.deepEqual(attributes.filter((it) => it !== age), ['HttpOnly', 'SameSite=Lax', 'Path=/']);
  const left = decoded(ada.token).claims.exp - Date.now() / 1_000;
  assert.ok(Math.abs(Number(age.slice('Max-Age='.length)) - left) < 5, `${age}, and the token has ${left} s left`);
});

test('a reload goes on with the cookie alone', async () => {
  const [ada, bob] = await everyone('ada', 'bob');
  ada.page.close();
  const again = await ada.browser.opens('/');
  isPage(again);
  assert.deepEqual(again.headers.getSetCookie(), []);
  const page = await ada.browser.runs();
  page.socket.emit('chat message', 'back');
  await bob.page.sees('chat message', (e) => e === `${ada.person.username} : back`);
});

test('without a good token there is no page, whatever the cookie says', async () => {
  const [ada] = await everyone('ada');
  const stranger = new Browser(server, 'stranger');
  isNoPage(await stranger.opens('/'), 401, 'token_missing');
  assert.equal(await stranger.isRefused(), 'Not Authorized');
  for (const token of ['undefined', 'a.b.c', tampered(ada.token)]) {
    isNoPage(await stranger.opens(`/?jwt=${token}`), 401, 'token_invalid');
    isNoPage(await ada.browser.opens(`/?jwt=${token}`), 401, 'token_invalid');
  }
  stranger.cookies.set('chatToken', { value: tampered(ada.token) });
  isNoPage(await stranger.opens('/'), 401, 'token_invalid');
  assert.equal(await stranger.isRefused(), 'Not Authorized');
  isPage(await ada.browser.opens('/'));
});

test('whoever follows a link is whom the link says, from then on', async () => {
  const [ada, bob] = await everyone('ada', 'bob');
  isPage(await ada.browser.opens(`/?jwt=${bob.token}`));
  assert.equal(ada.browser.cookies.get('chatToken').value, bob.token);
  const page = await ada.browser.runs();
  page.socket.emit('chat message', 'who am I?');
  await ada.page.sees('chat message', (e) => e === `${bob.person.username} : who am I?`);
});

test('a wrong login is told in words, a malformed one too, and there are not many of them', async () => {
  const person = await server.person('ada');
  const browser = new Browser(server);
  for (const body of [{}, { userID: person.username }, { password: 'x' }, { userID: 7, password: 'x' }]) {
    isNoPage(await server.request('POST', '/auth/login', body, { origin: LOGIN_PAGE }), 400, 'bad_request');
  }
  for (let i = 0; i < 5; i++) isNoPage(await browser.logsIn(person.username, `guess ${i}`), 401, 'unauthorized');
  const limited = await browser.logsIn(person.username, person.password);
  isNoPage(limited, 429, 'rate_limited');
  assert.ok(limited.body.retryAfterMs > 0);
  isNoPage(await browser.logsIn('nobody-of-that-name', 'x'), 401, 'unauthorized');
});

for (const transport of ['websocket', 'polling']) {
  test(`when the token ends, the ${transport} closes, and the page learns why when it comes back`, async (t) => {
    const own = await serverWith({ AUTH__TOKEN_TTL: '3s', AUTH__LEEWAY: '0s' }, t);
    const ada = await enters(await own.person('ada'));
    const page = await ada.browser.runs({ transports: [transport] });
    assert.notEqual(await page.disconnects(), 'io server disconnect');
    await page.sees('connect_error', (e) => e.message === 'Not Authorized');
    await until('the client gives up', () => page.socket.active === false);
    isNoPage(await ada.browser.opens('/'), 401, 'token_expired');
    isNoPage(await ada.browser.opens(`/?jwt=${ada.token}`), 401, 'token_expired');
    // A new login opens it again.
    await enters(ada.person);
  });
}

test('a logout ends the page, too', async () => {
  const [ada] = await everyone('ada');
  await ada.person.logsOut(ada.token);
  await ada.page.disconnects();
  await ada.page.sees('connect_error', (e) => e.message === 'Not Authorized');
  isNoPage(await ada.browser.opens('/'), 401, 'token_revoked');
});

test('a page of somebody else cannot use the cookie', async () => {
  const [ada] = await everyone('ada');
  assert.notEqual(await ada.browser.isRefused('https://evil.example.com'), 'Not Authorized');
  const answer = await server.request('POST', '/auth/login', { userID: ada.person.username, password: ada.person.password }, {
    origin: 'https://evil.example.com',
  });
  assertProblem(answer, 403, 'forbidden');
  assert.equal(answer.headers.get('access-control-allow-origin'), null);
});

test('the page brings what it needs, keeps to its policy, and shows nothing as HTML', async () => {
  const [ada] = await everyone('ada');
  const page = await ada.browser.opens('/');
  assert.ok(!page.text.includes(ada.token));
  const scripts = [...page.text.matchAll(/<script\b[^>]*>([^<]*)/g)];
  assert.ok(scripts.some(([tag]) => tag.includes('src="/socket.io/socket.io.js"')));
  for (const [tag, inline] of scripts) assert.deepEqual([/\bsrc="\//.test(tag), inline.trim()], [true, '']);
  assert.doesNotMatch(page.text, /(src|href)="(https?:)?\/\/|\son\w+=|style=/);
  const policy = page.headers.get('content-security-policy');
  assert.match(policy, /script-src 'self';/);
  for (const [, path] of page.text.matchAll(/(?:src|href)="(\/lobby\.[^"]+)"/g)) {
    const file = await server.request('GET', path);
    assert.equal(file.status, 200, path);
    assert.match(file.headers.get('content-type'), path.endsWith('.js') ? /^text\/javascript/ : /^text\/css/);
    assert.doesNotMatch(file.text, /innerHTML|insertAdjacentHTML|document\.write/);
  }
  const head = await server.request('HEAD', `/?jwt=${ada.token}`);
  assert.deepEqual([head.status, head.text], [200, '']);
});

test("an owner's own page takes its place, with the files beside it", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'parlor-page-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const html = '<ul id="messages"></ul><script src="/socket.io/socket.io.js"></script><script>let socket = io();</script>';
  await writeFile(join(folder, 'index.html'), html);
  await writeFile(join(folder, 'style.css'), 'li { list-style: none }');
  await writeFile(join(folder, '.secret'), 'hidden');
  const own = await serverWith({ DIALECTS__LOBBY_PAGE: folder }, t);
  const ada = await enters(await own.person('ada'));
  const page = await ada.browser.opens('/');
  assert.equal(page.text, html);
  assert.match(page.headers.get('content-security-policy'), /script-src 'self' 'unsafe-inline'/);
  assert.equal((await own.request('GET', '/style.css')).text, 'li { list-style: none }');
  for (const path of ['/index.html', '/.secret', '/%2esecret', '/nowhere.css']) {
    assertProblem(await own.request('GET', path), 404, 'not_found');
  }
});

test('switched off, none of it is there', async (t) => {
  const own = await serverWith({ DIALECTS__LOBBY: 'false' }, t);
  const ada = await own.person('ada');
  assertProblem(await own.request('GET', `/?jwt=${ada.token}`), 404, 'not_found');
  assertProblem(await own.request('POST', '/auth/login', { userID: ada.username, password: ada.password }), 404, 'not_found');
  const socket = own.dial({ namespace: '/', auth: { token: ada.token } }, ada.username);
  assert.equal((await socket.isAnswered()).event, 'connect', 'it is the rooms app’s namespace, too');
  assert.equal((await socket.asks('chat message', 'hello?')).error.code, 'not_found');
});

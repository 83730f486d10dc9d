// The end-to-end encrypted front end of seed 1, as its services do it: login by name, the list of the
// others, a WebSocket at /chat/<own id>, frames out and in. Keys and decrypted texts are the page's own
// business: here, a word turned around stands for what the Signal library makes of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Page, Server, assertProblem, sleep, until } from './harness.mjs';

const server = await Server.start();
const ORIGIN = { origin: 'http://localhost:3000' };

async function get(path, headers = {}) {
  const answer = await server.request('GET', path, undefined, { ...ORIGIN, ...headers });
  assert.equal(answer.headers.get('access-control-allow-origin'), ORIGIN.origin, path);
  return answer;
}

/** One tab with the app in it. */
class Tab {
  chats = new Map();
  shown = [];

  async login(name) {
    const answer = await get(`/api/users/login/${encodeURIComponent(name)}`);
    assert.equal(answer.status, 200, answer.text);
    this.user = answer.body;
    assert.ok(this.user._id && this.user.img && this.user.role, answer.text);
    return this.load();
  }

  /** What happens after the login, and at every reload. */
  async load() {
    const { _id, role } = this.user;
    const answer = await get(`/api/users/${_id}/${role}`);
    assert.equal(answer.status, 200, answer.text);
    this.contacts = answer.body.data;
    this.page = new Page(server, `/chat/${_id}`);
    this.page.heard = (frame) => this.#heard(frame);
    await this.page.open();
    return this;
  }

  async reload() {
    this.page.close();
    await this.page.isClosed();
    return this.load();
  }

  say(contact, text) {
    this.page.send({
      chatId: this.chats.get(contact._id) ?? '',
      senderid: this.user._id,
      receiverid: contact._id,
      message: { type: 3, body: [...text].reverse().join(''), registrationId: 4711 },
      date: '2026-11-21',
    });
  }

  #heard(frame) {
    assert.equal(frame.error, undefined, JSON.stringify(frame));
    const { chatId, messageId, senderid, receiverid, message, date } = frame;
    const mine = senderid === this.user._id;
    this.chats.set(mine ? receiverid : senderid, chatId);
    this.shown.push({ messageId, from: senderid, text: [...message.body].reverse().join(''), date });
  }

  sees(text) {
    return until(`"${text}"`, () => this.shown.find((message) => message.text === text));
  }
}

async function people() {
  const [client, advisor] = await Promise.all([
    server.person('client', { profile: { role: 'client' } }),
    server.person('advisor', { profile: { role: 'advisor', img: 'doctor.png' } }),
  ]);
  return [client, advisor];
}

test('two users talk in several tabs, and a reload goes on in the same chat', async () => {
  const [client, advisor] = await people();
  const tabs = [await new Tab().login(client.username), await new Tab().login(client.username)];
  const other = await new Tab().login(advisor.username);
  assert.ok(tabs[0].contacts.every(({ _id, role }) => _id !== client.id && role !== 'client'));
  const contact = tabs[0].contacts.find(({ _id }) => _id === advisor.id);
  assert.deepEqual(contact, {
    _id: advisor.id, name: advisor.username, img: 'doctor.png', role: 'advisor',
  });

  tabs[0].say(contact, 'hello');
  const seen = await other.sees('hello');
  assert.deepEqual(seen, await tabs[0].sees('hello'));
  assert.deepEqual(seen, await tabs[1].sees('hello'));
  assert.equal(seen.from, client.id);
  assert.equal(seen.date, '2026-11-21');

  other.say({ _id: client.id }, 'welcome');
  for (const tab of tabs) await tab.sees('welcome');
  const chat = other.chats.get(client.id);
  assert.equal(tabs[1].chats.get(advisor.id), chat);

  // The page keeps what it decrypted; the server replays nothing.
  await tabs[0].reload();
  const before = tabs[0].shown.length;
  tabs[0].chats.clear();
  await sleep(200);
  assert.equal(tabs[0].shown.length, before);
  tabs[0].say(contact, 'again');
  await other.sees('again');
  await tabs[0].sees('again');
  assert.equal(tabs[0].chats.get(advisor.id), chat);
});

test('what the app wrote is there for native clients, and theirs for the app', async () => {
  const [client, advisor] = await people();
  const tab = await new Tab().login(client.username);
  const phone = await advisor.connect();
  tab.say({ _id: advisor.id }, 'secret');
  const { response } = await phone.sees('response', ({ response }) => response.kind === 'encrypted');
  assert.deepEqual(response.content, { type: 3, body: 'terces', registrationId: 4711 });
  assert.equal(response.sender, client.username);
  await phone.asks('privateMessage', {
    receiver: client.username, kind: 'encrypted', content: { body: 'yes' },
  });
  await tab.sees('sey');
});

test('the settings of docs/dialects.md, to the letter: addresses, a picture for everybody, a profile with a token', async () => {
  const ada = await server.person('ada');
  // As in the app: the address ends in a slash, and the app adds the rest.
  const HTTP = `${server.url}/`;
  const app = async (path) => (await fetch(`${HTTP}${path}`, { headers: ORIGIN })).json();
  const shown = ({ img }) => `/images/${img}`;
  assert.match(shown(await app(`api/users/login/${ada.username}`)), /^\/images\/user[123]\.png$/);

  const profile = { profile: { img: 'doctor.png', role: 'advisor' } };
  const patch = (headers) => server.request('PATCH', `/api/users/${ada.username}`, profile, headers);
  assertProblem(await patch({}), 401, 'token_missing');
  assert.equal((await patch({ authorization: `Bearer ${ada.token}` })).status, 200);
  const { img, role } = await app(`api/users/login/${ada.username}`);
  assert.deepEqual([shown({ img }), role], ['/images/doctor.png', 'advisor']);

  const bob = await server.person('bob');
  const { data } = await app(`api/users/${bob.id}/user`);
  assert.equal(data.find(({ _id }) => _id === ada.id).img, 'doctor.png');
});

test('what the app makes of a text arrives: one character for each byte, up to U+00FF', async () => {
  const [client, advisor] = await people();
  const [tab, other] = [await new Tab().login(client.username), await new Tab().login(advisor.username)];
  for (const text of ['Grüße, ça va?', String.fromCharCode(...Array(256).keys()), 'any text: 日本語 👩‍👩‍👧‍👦']) {
    // The app turns a text around here; pairs of one character must stay pairs.
    tab.page.send({
      senderid: client.id, receiverid: advisor.id, message: { type: 1, body: text }, date: text,
    });
    await until(text, () => other.page.frames.find(({ message, date }) => message?.body === text && date === text));
  }
});

test('where it is not open, it takes a token', async (t) => {
  const closed = await Server.start({ t, settings: { DIALECTS__OPEN: 'angular' } });
  const ada = await closed.person('ada');
  assertProblem(await closed.request('GET', `/api/users/login/${ada.username}`), 401, 'token_missing');
  await assert.rejects(new Page(closed, `/chat/${ada.id}`).open(), /401/);
  const page = await new Page(closed, `/chat/${ada.id}`, { cookie: `chatToken=${ada.token}` }).open();
  page.send({ senderid: ada.id, receiverid: ada.id, message: 'a note' });
  await page.sees('the note', ({ message }) => message === 'a note');
});

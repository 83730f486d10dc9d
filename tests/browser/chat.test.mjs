// Pages of another origin, and of the server's own, with the client from /socket.io/socket.io.js.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, Server, Site, freePort, page, seqsTo, settingsFor } from './harness.mjs';

const site = await Site.start();
const port = await freePort();
const server = await Server.start({ port, settings: settingsFor(site, `http://127.0.0.1:${port}`) });
const browser = await Browser.start();
const url = await site.shows('chat.html', { server: server.url });

const signsIn = (tab, person) => tab.runs(({ username, password }) => chat.signsIn(username, password), person);
const isConnected = (tab) => tab.until('a connection', () => chat.socket.connected);
const contents = (tab) => tab.runs(() => chat.seen.map(({ content }) => content));
const sees = (tab, content) =>
  tab.until(`"${content}"`, (wanted) => chat.seen.some((message) => message.content === wanted), content);

test('two tabs of one user both get each message once and in order', async (t) => {
  const [ada, bob] = await server.people('ada', 'bob');
  const profile = await browser.profile(t);
  const first = await profile.opens(url);
  await signsIn(first, ada);
  await first.runs(() => chat.connects());
  await isConnected(first);
  // The other tab holds no token: it is let in by the cookie that the first has got.
  const second = await profile.opens(url);
  await second.runs(() => chat.connects({ withCredentials: true }));
  await isConnected(second);
  assert.equal(await second.runs(() => kept.token), null);

  const phone = await bob.connect();
  for (let n = 1; n <= 20; n += 1) phone.socket.emit('privateMessage', { receiver: ada.username, content: `bob ${n}` });
  for (const tab of [first, second]) {
    await sees(tab, 'bob 20');
    await tab.runs(({ username }) => chat.says(username, `from ${chat.socket.id}`, crypto.randomUUID()), bob);
  }
  const written = await Promise.all([first, second].map((tab) => tab.runs(() => `from ${chat.socket.id}`)));
  for (const tab of [first, second]) {
    for (const content of written) await sees(tab, content);
  }
  await phone.tells(ada, 'the end');
  for (const tab of [first, second]) {
    await sees(tab, 'the end');
    const seen = await tab.runs(() => chat.seen);
    assert.deepEqual(seen.map(({ seq }) => seq), seqsTo(23));
    assert.deepEqual(seen.slice(0, 20).map(({ content }) => content), seqsTo(20).map((n) => `bob ${n}`));
  }
  assert.deepEqual(await contents(first), await contents(second));
});

test('polling becomes a websocket, and each does alone', async (t) => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await bob.connect();
  const profile = await browser.profile(t);
  for (const transports of [['polling', 'websocket'], ['polling'], ['websocket']]) {
    const tab = await profile.opens(url);
    await signsIn(tab, ada);
    await tab.runs((options) => chat.connects(options), { transports });
    await isConnected(tab);
    await tab.until(`${transports.at(-1)}`, (wanted) => chat.transport === wanted, transports.at(-1));
    const content = `over ${transports}`;
    await tab.runs(([receiver, content]) => chat.says(receiver, content, content), [bob.username, content]);
    await phone.seesMessage(content);
    await sees(tab, content);
  }
});

test('a reload continues where the page was, without a gap and without a double', async (t) => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await bob.connect();
  // It has got everything, so that only the page itself can say what the page has got.
  await ada.connect();
  const tab = await (await browser.profile(t)).opens(url);
  await signsIn(tab, ada);
  await tab.runs(() => chat.connects());
  await isConnected(tab);
  let told = 0;
  const tellsMore = async (count) => {
    for (const last = told + count; told < last; ) await phone.tells(ada, `${(told += 1)}`);
  };
  await tellsMore(3);
  await sees(tab, '3');

  for (const _ of ['once', 'twice']) {
    await Promise.all([tab.reloads(), tellsMore(20)]);
    assert.notEqual(await tab.runs(() => chat.socket), null, 'the page still has its token');
    await tellsMore(1);
    await sees(tab, `${told}`);
  }

  const seen = await tab.runs(() => chat.seen);
  assert.deepEqual(seen.map(({ seq }) => seq), seqsTo(told));
  assert.deepEqual(seen.map(({ content }) => content), seqsTo(told).map(String));
});

test("a page of the server's own origin chats, too", async (t) => {
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await bob.connect();
  const profile = await browser.profile(t);
  const own = await profile.shows(`${server.url}/chat.html`, await page('chat.html', { server: '' }));
  const tab = await profile.opens(own);
  await signsIn(tab, ada);
  await tab.runs(() => chat.connects());
  await isConnected(tab);
  await tab.until('the upgrade', () => chat.transport === 'websocket');
  await phone.tells(ada, 'hi');
  await sees(tab, 'hi');
});

test('the ES module is imported from another origin', async (t) => {
  const ada = await server.person('ada');
  const tab = await (await browser.profile(t)).opens(await site.shows('module.html', { server: server.url }));
  assert.equal(await tab.runs(() => protocol), 5);
  assert.equal(await tab.runs(({ token }) => connects(token), ada), true);
});

test('scripts cannot read the login cookie, and it goes along all the same', async (t) => {
  const ada = await server.person('ada');
  const profile = await browser.profile(t);
  const tab = await profile.opens(url);
  await signsIn(tab, ada);
  const [cookie] = await profile.cookies();
  assert.deepEqual([cookie.name, cookie.httpOnly, cookie.sameSite], ['chatToken', true, 'Lax']);
  const own = await profile.opens(
    await profile.shows(`${server.url}/chat.html`, await page('chat.html', { server: server.url })),
  );
  for (const each of [tab, own]) {
    // Cookies know no ports: were it for scripts, both pages would see it.
    const visible = await each.runs(() => ((document.cookie = 'own=1'), document.cookie));
    assert.equal(visible, 'own=1');
    const asked = (path) => fetch(path, { credentials: 'include' }).then((answer) => answer.json());
    const session = await each.runs(asked, `${server.url}/api/auth/session`);
    assert.equal(session.user.username, ada.username);
  }
});

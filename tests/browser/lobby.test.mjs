// The lobby page that the server itself serves, and one of an owner's own, opened by a link with a token.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Browser, Server, hasStockClient, freePort, settingsFor } from './harness.mjs';

const browser = await Browser.start();

async function serverWith(settings = {}, t) {
  const port = await freePort();
  return Server.start({ t, port, settings: { ...settingsFor(`http://127.0.0.1:${port}`), ...settings } });
}

const server = await serverWith();

/** A profile and the tab that a person's link opens in it. */
async function enters(t, person) {
  const profile = await browser.profile(t);
  const tab = await profile.opens(`${person.server.url}/?jwt=${person.token}`);
  await isConnected(tab);
  return { profile, tab };
}

const isConnected = (tab) => tab.until('a connection', () => !document.querySelector('#send').disabled);
const says = (tab, text) =>
  tab.runs((text) => {
    document.querySelector('#text').value = text;
    document.querySelector('#send').click();
  }, text);
const lines = (tab) => tab.runs(() => [...document.querySelectorAll('#messages li')].map((line) => line.textContent));
const shows = (tab, line) =>
  tab.until(line, (wanted) => [...document.querySelectorAll('#messages li')].some((item) => item.textContent === wanted), line);
const tells = (tab, pattern) =>
  tab.until(`a status like ${pattern}`, (source) => new RegExp(source).test(document.querySelector('#status').textContent), pattern);

test('two people enter by their links and talk', async (t) => {
  const [ada, bob] = await server.people('ada', 'bob');
  const first = await enters(t, ada);
  await first.tab.until('whom one is signed in as', (name) => document.body.textContent.includes(`Signed in as ${name}`), ada.username);
  const second = await enters(t, bob);
  await shows(first.tab, `${bob.username} has entered the chat`);
  await says(first.tab, 'hello <b>Bob</b> <img src=x onerror=alert(1)>');
  await shows(second.tab, `${ada.username} : hello <b>Bob</b> <img src=x onerror=alert(1)>`);
  await says(second.tab, 'hi Ada');
  await shows(first.tab, `${bob.username} : hi Ada`);
  assert.deepEqual((await lines(first.tab)).slice(-2), ['You: hello <b>Bob</b> <img src=x onerror=alert(1)>', `${bob.username} : hi Ada`]);
  assert.equal(await second.tab.runs(() => document.querySelectorAll('#messages b, #messages img').length), 0);
  await second.profile.close();
  await shows(first.tab, `${bob.username} has left the chat`);
});

test('the token leaves the address, and no script can read it', async (t) => {
  const ada = await server.person('ada');
  const { profile, tab } = await enters(t, ada);
  const seen = await tab.runs(() => [location.href, document.documentElement.outerHTML, document.cookie, history.length]);
  assert.equal(seen[0], `${server.url}/?jwt=`);
  assert.ok(!seen.join().includes(ada.token));
  const [cookie] = await profile.cookies();
  assert.deepEqual([cookie.name, cookie.value, cookie.httpOnly, cookie.sameSite], ['chatToken', ada.token, true, 'Lax']);
});

test('a reload goes on with the cookie, and nobody is told that somebody left', async (t) => {
  const [ada, bob] = await server.people('ada', 'bob');
  const first = await enters(t, ada);
  const second = await enters(t, bob);
  await shows(first.tab, `${bob.username} has entered the chat`);
  await second.tab.reloads();
  await isConnected(second.tab);
  await says(second.tab, 'back');
  await shows(first.tab, `${bob.username} : back`);
  assert.ok(!(await lines(first.tab)).includes(`${bob.username} has left the chat`));
});

test('nothing is sent while the server is away, and the text stays', async (t) => {
  const profile = await browser.profile(t);
  const own = await serverWith({}, t);
  const ada = await own.person('ada');
  const tab = await profile.opens(`${own.url}/?jwt=${ada.token}`);
  await isConnected(tab);
  tab.mayComplain(/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|WebSocket/);
  await own.stop();
  await tells(tab, 'Trying again');
  await tab.runs(() => {
    document.querySelector('#text').value = 'patience';
    document.querySelector('#form').requestSubmit();
  });
  assert.deepEqual(await tab.runs(() => [document.querySelector('#text').value, document.querySelector('#send').disabled]), ['patience', true]);
  assert.deepEqual(await lines(tab), []);
  await own.run();
  await isConnected(tab);
  await tab.runs(() => document.querySelector('#send').click());
  await shows(tab, 'You: patience');
});

test('when the login has ended, the page says so', async (t) => {
  const ada = await server.person('ada');
  const { tab } = await enters(t, ada);
  // A page that had not got beyond polling yet learns by a 400 that its session is gone.
  tab.mayComplain(/status of 400 .*transport=polling/);
  await ada.logsOut();
  await tells(tab, 'Your login has ended');
  assert.equal(await tab.runs(() => document.querySelector('#send').disabled), true);
  tab.mayComplain(/status of 401/);
  await tab.reloads();
  assert.match(await tab.runs(() => document.body.textContent), /"code":"token_revoked"/);
});

test('without the Socket.IO client, the page does the same over a plain WebSocket', async (t) => {
  const profiles = [await browser.profile(t), await browser.profile(t)];
  const own = await serverWith({ SERVER__CLIENT_FOLDER: '/nowhere' }, t);
  if (await hasStockClient(own)) return t.skip('this build contains the stock client');
  const people = await own.people('ada', 'bob');
  const [first, second] = await Promise.all(
    profiles.map(async (profile, n) => {
      const tab = await profile.opens('about:blank');
      tab.mayComplain(/socket.io.js/, /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|WebSocket|status of 401/);
      await tab.goes(`${own.url}/?jwt=${people[n].token}`);
      await isConnected(tab);
      return tab;
    }),
  );
  await says(first, 'hello <b>Bob</b>');
  await shows(second, `${people[0].username} : hello <b>Bob</b>`);
  await says(second, 'hi Ada');
  await shows(first, `${people[1].username} : hi Ada`);
  const said = (tab) => lines(tab).then((all) => all.filter((line) => line.includes(':')));
  assert.deepEqual(await said(first), ['You: hello <b>Bob</b>', `${people[1].username} : hi Ada`]);
  await own.stop();
  // Nothing is sent again in the lobby, so both have to be back.
  for (const tab of [first, second]) await tells(tab, 'Trying again');
  await own.run();
  for (const tab of [first, second]) await isConnected(tab);
  await says(first, 'back');
  await shows(second, `${people[0].username} : back`);
  await people[0].logsOut();
  await tells(first, 'Your login has ended');
});

test("an owner's page with its scripts and styles in it works as it is", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'parlor-page-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'app.css'), 'li { list-style: none }');
  await writeFile(join(folder, 'index.html'), `<!doctype html><link rel="icon" href="data:,">
    <link rel="stylesheet" href="app.css"><style>ul { color: rgb(1, 2, 3) }</style>
    <ul id="messages"></ul><form id="form"><input id="input" style="width: 9em"><button id="send">Send</button></form>
    <script src="/socket.io/socket.io.js"></script>
    <script>
      let socket = io();
      const add = (line) => { const item = document.createElement('li'); item.textContent = line; messages.append(item); };
      form.addEventListener('submit', (e) => { e.preventDefault(); socket.emit('chat message', input.value); add('You: ' + input.value); });
      socket.on('chat message', add);
      socket.on('new user', (name) => add(name + ' has entered the chat'));
    </script>`);
  const profiles = [await browser.profile(t), await browser.profile(t)];
  const own = await serverWith({ DIALECTS__LOBBY_PAGE: folder }, t);
  const [ada, bob] = await own.people('ada', 'bob');
  const first = await profiles[0].opens(`${own.url}/?jwt=${ada.token}`);
  await first.until('a connection', () => socket.connected);
  const second = await profiles[1].opens(`${own.url}/?jwt=${bob.token}`);
  await shows(first, `${bob.username} has entered the chat`);
  await second.runs(() => ((input.value = 'hi'), send.click()));
  await shows(first, `${bob.username} : hi`);
  assert.deepEqual(await first.runs(() => [getComputedStyle(messages).color, getComputedStyle(messages.lastChild).listStyleType]), ['rgb(1, 2, 3)', 'none']);
});

// The Angular dialect as the app uses it: sockets on one port, HTTP with the cookie on another, the page
// on a third.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, Server, Site, settingsFor, until } from './harness.mjs';

const site = await Site.start();
const browser = await Browser.start();

/** A server on two ports, the address of the app that knows them, and a browser to open it in. */
async function scene(t, settings) {
  const profile = await browser.profile(t);
  const listen = '127.0.0.1:0,127.0.0.1:0';
  const server = await Server.start({ t, settings: { ...settingsFor(site), SERVER__LISTEN: listen, ...settings } });
  const addresses = () => [...server.output.matchAll(/listening on (http:\/\/[\d.:]+)(?=\s)/g)].map(([, url]) => url);
  const [sockets, http] = await until('two addresses', () => addresses().length === 2 && addresses());
  return { server, profile, url: await site.shows('angular.html', { sockets, http }) };
}

const isAt = (tab, page) => tab.until(`the ${page} page`, (page) => app.page === page, page);
const logsIn = (tab, person) => tab.runs(({ username }) => app.login(username), person);
const sees = (tab, content) => tab.until(`"${content}"`, (content) => app.messages.includes(content), content);

test('login by name, chat, and a reload that the cookie survives', async (t) => {
  const { server, profile, url } = await scene(t);
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await bob.connect();
  const tab = await profile.opens(url);
  tab.mayComplain(/status of 401/);
  await isAt(tab, 'login');
  const { users } = await tab.runs(() => app.request('/web/users').then((answer) => answer.json()));
  assert.ok(users.some(({ username }) => username === ada.username));

  await logsIn(tab, ada);
  await isAt(tab, 'chat');
  assert.equal((await tab.runs(() => app.authToken)).split('.').length, 3);
  assert.equal(await tab.runs(() => document.cookie), '');
  const answer = await tab.runs((username) => app.tells(username, 'from the app'), bob.username);
  assert.equal(answer.success, true);
  await phone.seesMessage('from the app');
  await phone.tells(ada, 'to the app');
  await sees(tab, 'to the app');

  await tab.reloads();
  await isAt(tab, 'chat');
  assert.equal(await tab.runs(() => app.sender), ada.username);
  await phone.tells(ada, 'after the reload');
  await sees(tab, 'after the reload');
  const path = `/web/messages/${ada.username}/${bob.username}?group=no`;
  const history = await tab.runs((path) => app.request(path).then((answer) => answer.json()), path);
  assert.deepEqual(history.map(({ content }) => content), ['from the app', 'to the app', 'after the reload']);

  // Another tab is the same browser.
  const other = await profile.opens(url);
  await isAt(other, 'chat');
  assert.equal(await other.runs(() => app.sender), ada.username);
});

test('when the token ends, the app is told and is back at its login, also after a reload', async (t) => {
  const { server, profile, url } = await scene(t, { AUTH__TOKEN_TTL: '8s' });
  const ada = await server.person('ada');
  const tab = await profile.opens(url);
  tab.mayComplain(/status of 401/);
  await isAt(tab, 'login');
  await logsIn(tab, ada);
  await tab.until('the end of the token', () => app.pages.length === 3, null, 30_000);
  assert.deepEqual(await tab.runs(() => app.pages), ['login', 'chat', 'login']);
  assert.deepEqual(await tab.runs(() => app.events), ['token-expiring', 'token-expired']);
  assert.equal(await tab.runs(() => app.socket.connected), false);
  await tab.reloads();
  await isAt(tab, 'login');
  await logsIn(tab, ada);
  await tab.until('the way in', () => app.pages.includes('chat'));
});

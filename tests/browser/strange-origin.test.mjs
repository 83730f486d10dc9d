// A page that nobody has listed, in the browser of somebody who is logged in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, Server, Site, settingsFor, until } from './harness.mjs';

const [site, strange] = [await Site.start(), await Site.start()];
const server = await Server.start({ settings: settingsFor(site) });
const browser = await Browser.start();

/** What a socket made in the page hears first: `connect`, or why not. */
const dials = (options) =>
  new Promise((resolve) => {
    const socket = io(window.server + '/chat', { forceNew: true, reconnection: false, ...options });
    const hears = (first) => {
      socket.disconnect();
      resolve(first);
    };
    socket.on('connect', () => hears('connect'));
    socket.on('connect_error', ({ message }) => hears(message));
  });

test('a page of an origin that is not listed gets nothing, whatever the browser holds', async (t) => {
  const [ada, bob] = await server.people('ada', 'bob');
  const isOnline = async () => (await bob.request('GET', `/api/users/${ada.username}`)).body.isOnline;
  const profile = await browser.profile(t);
  const good = await profile.opens(await site.shows('chat.html', { server: server.url }));
  await good.runs(({ username, password }) => chat.signsIn(username, password), ada);
  // Who disconnects at once may have a poll on its way still, which the client's close packet overtakes.
  good.mayComplain(/status of 400 .*transport=polling/);

  const bad = await profile.opens(await strange.shows('chat.html', { server: server.url }));
  bad.mayComplain(/status of 403/, /blocked by CORS policy/, /ERR_FAILED/, /WebSocket connection to .* failed/);
  for (const [tab, refusals] of [
    [good, { polling: 'connect', websocket: 'connect' }],
    [bad, { polling: 'xhr poll error', websocket: 'websocket error' }],
  ]) {
    await tab.runs((url) => void (window.server = url), server.url);
    for (const transport of ['polling', 'websocket']) {
      for (const options of [{ auth: { token: ada.token } }, { withCredentials: true }]) {
        const first = await tab.runs(dials, { ...options, transports: [transport] });
        assert.equal(first, refusals[transport], `${transport} with ${Object.keys(options)}`);
      }
    }
    // From here on only the bad page could make her come back, and that would show for some seconds.
    if (tab === good) await until('ada to be gone', async () => !(await isOnline()));
  }
  assert.equal(await isOnline(), false);

  const asks = (path) => fetch(path, { credentials: 'include' }).then((answer) => answer.text(), String);
  for (const path of ['/api/users', '/api/auth/session', '/healthz']) {
    assert.equal(await bad.runs(asks, server.url + path), 'TypeError: Failed to fetch', path);
  }
  const login = bad.runs(({ username, password }) => chat.signsIn(username, password), ada);
  await assert.rejects(login, /Failed to fetch/);
  const imports = (url) => import(url).then(() => 'imported', (error) => error.name);
  assert.equal(await bad.runs(imports, `${server.url}/socket.io/socket.io.esm.min.js`), 'TypeError');
});

// A laptop that loses its network, and finds it again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, Line, Server, Site, seqsTo, settingsFor } from './harness.mjs';

const site = await Site.start();
const server = await Server.start({ settings: settingsFor(site) });
const browser = await Browser.start();

/** Ada's tab, connected over `line`, another device of hers, and bob's phone. */
async function scene(t) {
  const profile = await browser.profile(t);
  const line = await Line.to(server, t);
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await bob.connect();
  // It gets everything, so that only the page itself can say what the page has missed.
  await ada.connect();
  const tab = await profile.opens(await site.shows('chat.html', { server: line.url }));
  // What the library tries meanwhile fails, and Chromium writes that down.
  tab.mayComplain(/ERR_INTERNET_DISCONNECTED/, /WebSocket connection to .* failed/);
  await tab.runs(({ username, password }) => chat.signsIn(username, password), ada);
  await tab.runs(() => chat.connects());
  await tab.until('the websocket', () => chat.socket.connected && chat.transport === 'websocket');
  // A page can only say how far it has got in a room that it has heard of.
  await phone.tells(ada, 'before');
  await tab.until('the first message', () => chat.seen.length === 1);
  return { line, ada, bob, phone, profile, tab };
}

const says = (tab, ...words) => tab.runs((words) => chat.says(...words), words);
const seen = (tab) => tab.runs(() => chat.seen);
const isAnswered = (tab, id) => tab.until(`the answer to ${id}`, (id) => chat.answers[id], id);
const isOut = (tab) => tab.until('the loss to be noticed', () => !chat.socket.connected);

test('what was missed arrives, in order, and what was written offline is stored once', async (t) => {
  const { ada, bob, phone, profile, tab } = await scene(t);
  await profile.goesOffline();
  await isOut(tab);
  for (let n = 1; n <= 10; n += 1) await phone.tells(ada, `missed ${n}`);
  await says(tab, bob.username, 'written offline', 'offline-1');
  assert.equal((await seen(tab)).length, 1, 'it really is offline');
  assert.deepEqual(await tab.runs(() => chat.answers), {});

  await profile.goesOnline();
  const { success, response } = await isAnswered(tab, 'offline-1');
  assert.equal(success, true);
  assert.equal(response.seq, 12, 'it was stored after what was missed');
  await phone.tells(ada, 'after');
  await tab.until('the last message', () => chat.seen.some(({ content }) => content === 'after'));

  const messages = await seen(tab);
  const missed = seqsTo(10).map((n) => `missed ${n}`);
  assert.deepEqual(messages.map(({ content }) => content), ['before', ...missed, 'written offline', 'after']);
  assert.deepEqual(messages.map(({ seq }) => seq), seqsTo(13));
  const stored = await phone.does('history', { receiver: ada.username, group: false });
  assert.equal(stored.messages.filter(({ content }) => content === 'written offline').length, 1);
});

test('a message whose answer was lost with the network is sent again, and stored once', async (t) => {
  const { line, ada, bob, phone, profile, tab } = await scene(t);
  line.losesAnswers();
  await says(tab, bob.username, 'sent twice', 'lost-1');
  const first = await phone.seesMessage('sent twice');
  await profile.goesOffline();
  await isOut(tab);
  assert.deepEqual(await tab.runs(() => chat.answers), {}, 'the page cannot know');

  line.works();
  await profile.goesOnline();
  const { success, response } = await isAnswered(tab, 'lost-1');
  assert.equal(success, true);
  assert.equal(response.messageId, first.messageId);
  await phone.tells(ada, 'after');
  await tab.until('the last message', () => chat.seen.some(({ content }) => content === 'after'));

  assert.deepEqual((await seen(tab)).map(({ content }) => content), ['before', 'sent twice', 'after']);
  assert.deepEqual(phone.messages().map(({ content }) => content), ['before', 'sent twice', 'after']);
});

// Threads in the web client: replies beside the room, their own field, and what of them is unread.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, axe, chooses, isAccessible, opens, shows, signsIn, texts, until, webServer, writes } from './harness.mjs';

const browser = await Browser.start();

test('a thread is written beside its room, and its unread replies are told', async (t) => {
  const [one, other] = [await browser.profile(t), await browser.profile(t)];
  const server = await webServer({ t });
  const [ada, bob] = await server.people('ada', 'bob');
  const [here, there] = [await one.opens(server.url), await other.opens(server.url)];
  await here.runs(axe);
  await signsIn(here, ada);
  await signsIn(there, bob);
  await opens(here, bob.username);
  await writes(here, bob.username, 'what about lunch?');
  await shows(here, 'what about lunch?', 'delivered');
  await opens(there, ada.username);
  await shows(there, 'what about lunch?');
  const replies = (tab, text) => tab.until(`the link ${text}`, (text) => document.querySelector('.pane .message:has(.message-text) .thread-link')?.textContent === text, text);
  const inThread = (tab, lines) =>
    tab.until(`the thread ${lines}`, (lines) => JSON.stringify([...document.querySelectorAll('.sheet .message-text')].map(({ textContent }) => textContent)) === JSON.stringify(lines), lines);

  await chooses(there, 'what about lunch?', 'Reply in a thread');
  await there.until('the field of the thread', () => document.activeElement?.matches('.sheet textarea'));
  await there.types('at noon\n');
  await inThread(there, ['what about lunch?', 'at noon']);
  await replies(here, '1 reply');
  assert.deepEqual(await texts(here), ['what about lunch?'], 'not in the room');
  const unread = (tab, count) => tab.until(`${count} threads`, (count) => document.querySelectorAll('.sidebar .badge.threads').length === count, count);
  await unread(here, 1);

  // By the keyboard: from the link into the thread, and back to the room.
  await here.runs(() => document.querySelector('.thread-link').focus());
  await here.presses('Enter');
  await inThread(here, ['what about lunch?', 'at noon']);
  await unread(here, 0);
  await here.until('the field of the thread', () => document.activeElement?.matches('.sheet textarea'));
  await isAccessible(here, 'a thread');
  await here.types('good');
  await here.field('Also in the conversation').click();
  await here.field('Reply in a thread').focus();
  await here.presses('Enter');
  await inThread(there, ['what about lunch?', 'at noon', 'good']);
  await replies(there, '2 replies');
  await here.presses('Escape');
  await here.until('the room', () => !document.querySelector('dialog') && location.hash.startsWith('#/u/'));
  assert.deepEqual(await texts(here), ['what about lunch?', 'good'], 'what is for the room, too');
  await isAccessible(here, 'a room with a thread');
  await there.presses('Escape');

  // A device that was away, from the list of threads.
  const { response: [{ unreadThreads = 0, unread: count }] } = await (await bob.connect()).asks('listRooms', {});
  assert.deepEqual([unreadThreads, count], [0, 0]);
  await here.goes('about:blank');
  await there.runs(() => document.querySelector('.thread-link').click());
  await there.until('the field of the thread', () => document.activeElement?.matches('.sheet textarea'));
  await there.types('see you\n');
  await inThread(there, ['what about lunch?', 'at noon', 'good', 'see you']);
  await there.until('that it is sent', () => document.querySelectorAll('.sheet .message.pending').length === 0);
  await here.goes(server.url);
  await here.runs(axe);
  await unread(here, 1);
  await opens(here, bob.username);
  await here.find('button', 'Threads').click();
  await here.until('the list', () => document.querySelector('dialog .row .badge')?.firstChild.textContent === '1');
  await isAccessible(here, 'the threads of a room');
  await here.locate('dialog .row', 'what about lunch?').click();
  await inThread(here, ['what about lunch?', 'at noon', 'good', 'see you']);
  await unread(here, 0);
  await until('that they are read', async () => !(await (await ada.connect()).asks('listRooms', {})).response[0].unreadThreads);
});

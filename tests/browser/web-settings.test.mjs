// System messages, messages that disappear, and a user's own settings of a conversation, in the web client.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, axe, isAccessible, opens, shows, signsIn, signsInInGerman, until, webServer } from './harness.mjs';

const browser = await Browser.start();

/** Waits for these quiet lines in the open conversation. */
const says = (tab, lines) =>
  tab.until(`the lines ${lines}`, (lines) => JSON.stringify([...document.querySelectorAll('.separator.system')].map(({ textContent }) => textContent)) === JSON.stringify(lines), lines);

/** A row of the list, by the name of the conversation. */
const row = (tab, name) => tab.locate('.sidebar a.row', name);

test('what the server says stands between the messages, in the words of the reader', async (t) => {
  const english = await browser.profile(t);
  const german = await browser.profile(t, { locale: 'de' });
  const server = await webServer({ t });
  const [ada, bob, cyd] = await server.people('ada', 'bob', 'cyd');
  const phone = await ada.connect();
  const { response: group } = await phone.asks('createGroup', { groupName: 'Team', users: [bob.username] });
  const tab = await english.opens(server.url);
  await tab.runs(axe);
  await signsIn(tab, ada);
  await tab.runs((id) => (location.hash = `#/g/${id}`), group.groupId);
  // Whoever runs the group turns it on.
  await tab.find('button', 'About this group').click();
  await tab.locate('dialog summary', 'Change name').click();
  await tab.field('Tell in the group who joins and leaves').click();
  await until('the setting', async () => (await phone.asks('listRooms', {})).response[0].group.systemMessages === true);
  await tab.presses('Escape');
  await phone.asks('groupMessage', { receiver: group.groupId, content: 'before' });
  await phone.asks('addMembers', { groupId: group.groupId, users: [cyd.username] });
  await phone.asks('setRole', { groupId: group.groupId, username: cyd.username, role: 'admin' });
  await phone.asks('updateGroup', { groupId: group.groupId, groupName: 'Crew' });
  await (await bob.connect()).asks('leaveGroup', { groupId: group.groupId });
  const { username: c } = cyd;
  await says(tab, [`You added ${c}`, `You made ${c} admin`, 'You named the group “Crew”', `${bob.username} left the group`]);
  await isAccessible(tab, 'what the server says');
  const other = await german.opens(server.url);
  await signsInInGerman(other, cyd);
  await other.until('the row', () => document.querySelector('.sidebar .row-last')?.textContent.length > 0);
  await other.runs((id) => (location.hash = `#/g/${id}`), group.groupId);
  await says(other, [`Hinzugefügt von ${ada.username}: Du`, `Zum Admin gemacht von ${ada.username}: Du`, `Die Gruppe heißt nun „Crew“ (geändert von ${ada.username})`, `Nicht mehr in der Gruppe: ${bob.username}`]);
});

test('a message disappears at its time, without the server, too, and nothing of it stays on the device', async (t) => {
  const profile = await browser.profile(t);
  const server = await webServer({ t });
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await bob.connect();
  await phone.tells(ada, 'this stays');
  const tab = await profile.opens(server.url);
  await signsIn(tab, ada);
  await opens(tab, bob.username);
  await shows(tab, 'this stays');
  tab.mayComplain(/ERR_|WebSocket|Failed to fetch/);
  await tab.runs(() => {
    // However late the test looks.
    const look = () => (window.wasShown ||= [...document.querySelectorAll('.message-text')].some(({ textContent }) => textContent === 'this goes'));
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
  });
  await phone.asks('privateMessage', { receiver: ada.username, content: 'this goes', expiresIn: 5 });
  await tab.until('the message', () => window.wasShown);
  await profile.goesOffline();
  await tab.until('that it has gone', () => ![...document.querySelectorAll('.message-text')].some(({ textContent }) => textContent === 'this goes'));
  await shows(tab, 'this stays');
  await tab.until('that it is not on the disk', async () => {
    const [{ name }] = await indexedDB.databases();
    const db = await new Promise((resolve) => (indexedDB.open(name).onsuccess = ({ target }) => resolve(target.result)));
    const all = await new Promise((resolve) => (db.transaction('messages').objectStore('messages').getAll().onsuccess = ({ target }) => resolve(target.result)));
    db.close();
    const contents = all.map(({ message }) => message.content);
    return contents.includes('this stays') && !contents.includes('this goes');
  });
  await profile.goesOnline();
});

test('settings and drafts of a conversation are the same on all devices', async (t) => {
  const [one, other] = [await browser.profile(t), await browser.profile(t)];
  const server = await webServer({ t });
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await bob.connect();
  await phone.tells(ada, 'hi');
  const [here, there] = [await one.opens(server.url), await other.opens(server.url)];
  await there.runs(axe);
  await signsIn(here, ada);
  await signsIn(there, ada);
  const badge = (tab, text) => tab.until(`the badge ${text}`, (text) => (document.querySelector('.sidebar a.row .badge')?.firstChild.textContent ?? '') === text, text);
  await badge(there, '1');
  await opens(here, bob.username);
  await badge(there, '');

  // What is being typed is left alone, a space at its end, too.
  await here.field(`Message to ${bob.username}`).fill('half a ');
  await there.until('the beginning in the list', () => document.querySelector('.sidebar .row .draft')?.parentElement.textContent.startsWith('Draft: half a'));
  assert.equal(await here.field(`Message to ${bob.username}`).inputValue(), 'half a ');
  // A draft comes to the other device, into the list and into the field; what is sent there empties it here.
  await here.field(`Message to ${bob.username}`).fill('half a sen');
  await there.until('the draft in the list', () => document.querySelector('.sidebar .row .draft')?.parentElement.textContent === 'Draft: half a sen');
  await isAccessible(there, 'a draft in the list');
  await opens(there, bob.username);
  const field = (tab) => tab.runs(() => document.querySelector('.composer textarea').value);
  assert.equal(await field(there), 'half a sen');
  await there.field(`Message to ${bob.username}`).fill('half a sentence');
  await here.until('the longer draft', () => document.querySelector('.composer textarea').value === 'half a sentence');
  await there.presses('Enter');
  await phone.seesMessage('half a sentence');
  await here.until('no draft', () => document.querySelector('.composer textarea').value === '');

  const about = (tab) => tab.find('button', 'About this conversation').click();
  await about(here);
  await here.find('button', 'Mute for 8 hours').click();
  await there.until('that it is muted', () => document.querySelector('.sidebar a.row .icon-mute'));
  // Every page has the focus in these tests: one that shows the conversation reads it at once, and the badge goes.
  await here.presses('Escape');
  for (const tab of [here, there]) await tab.runs(() => (location.hash = '#/'));
  for (const tab of [here, there]) await tab.until('no conversation', () => !document.querySelector('.composer'));
  await phone.tells(ada, 'psst');
  await badge(there, '1');
  await isAccessible(there, 'a muted conversation with unread messages');
  await opens(here, bob.username);
  await badge(there, '');
  await about(here);
  await here.find('button', 'Unmute').click();
  await there.until('that it is not muted', () => !document.querySelector('.sidebar a.row .icon-mute'));
  await here.find('combobox', 'Messages disappear after').selectOption({ label: '7 days' });
  await until('the time', async () => (await phone.asks('listRooms', {})).response[0].disappearAfter === 7 * 86_400);
  await here.find('button', 'Archive').click();
  await there.until('the archive', () => document.querySelector('.sidebar .archive:not([hidden])')?.textContent === 'Archived: 1');
  assert.equal(await row(there, bob.username).count(), 0);
  await there.locate('.archive', 'Archived: 1').click();
  await row(there, bob.username).waitFor();
  await isAccessible(there, 'the archive');
  await here.find('button', 'Take out of the archive').click();
  await there.until('no archive', () => document.querySelector('.sidebar .archive').hidden);
  await here.find('button', 'Mark as unread').click();
  await badge(here, '•');
  await badge(there, '•');
  await opens(there, bob.username);
  await badge(there, '');
  await badge(here, '');
});

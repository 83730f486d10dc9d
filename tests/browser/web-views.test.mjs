// Every view of the web client: accessible at two sizes in both colours, usable by the keyboard alone, quick when long.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Browser, isIn, opens, shows, signsIn, signsUp, webServer } from './harness.mjs';

const browser = await Browser.start();
const server = await webServer();
const axe = await readFile(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const LOOKS = [390, 1280].flatMap((width) => ['light', 'dark'].map((colorScheme) => ({ width, height: 800, colorScheme })));

/** No violation of WCAG 2.2 AA or of good practice, at every size and in both colours. */
async function isAccessible(tab, view) {
  for (const look of LOOKS) {
    await tab.looks(look);
    const found = await tab.runs(async () => {
      const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
      const { violations } = await axe.run(document, { runOnly: tags, resultTypes: ['violations'] });
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' ')}`);
    });
    assert.deepEqual(found, [], `${view} at ${look.width} pixels, ${look.colorScheme}`);
  }
  const small = await tab.runs(() => {
    const targets = [...document.querySelectorAll('button, input, select, textarea, summary, a')];
    const boxes = targets.map((element) => [element, element.getBoundingClientRect()]);
    // A link in a sentence is as high as its line.
    const shown = boxes.filter(([element, box]) => box.width > 0 && !element.closest('.message-text, .skip'));
    return shown.filter(([, box]) => box.width < 24 || box.height < 23.5).map(([element]) => element.outerHTML.slice(0, 120));
  });
  assert.deepEqual(small, [], `${view}: targets are 24 pixels at least`);
}

test('axe finds nothing on any view, and every target is large enough', async (t) => {
  const profile = await browser.profile(t);
  const [bob, cyd] = await server.people('bob', 'cyd');
  const phone = await bob.connect();
  const tab = await profile.opens(server.url);
  await tab.runs(axe);
  await isAccessible(tab, 'sign in');
  await tab.find('button', 'Create an account').click();
  await tab.find('button', 'Create an account').click();
  await tab.until('the errors', () => document.querySelectorAll('[aria-invalid]').length === 2);
  await isAccessible(tab, 'sign up, with errors');
  await tab.field('Username').fill('ada');
  await tab.field('Password').fill('correct horse');
  await tab.find('button', 'Create an account').click();
  await isIn(tab);
  await isAccessible(tab, 'no conversations');

  const { response: { groupId } } = await phone.asks('createGroup', { groupName: 'Team', users: ['ada', cyd.username] });
  await phone.asks('groupMessage', { receiver: groupId, content: 'in the group, https://example.com' });
  await phone.asks('createGroup', { groupName: 'Club', password: 'secret' });
  await phone.asks('lobbyMessage', { content: 'to all' });
  await tab.until('all rows', () => document.querySelectorAll('.row .badge:not(:empty)').length >= 2);
  await isAccessible(tab, 'chats');
  await opens(tab, bob.username);
  await isAccessible(tab, 'a new conversation');
  await tab.types('hello\n');
  await shows(tab, 'hello', 'stored');
  await isAccessible(tab, 'a conversation');
  const hello = tab.locate('.message', 'hello');
  await hello.hover();
  await hello.locator('summary').click();
  await isAccessible(tab, 'the menu of a message');
  await hello.getByRole('button', { name: 'React with 🎉' }).click();
  await tab.until('the reaction', () => document.querySelector('.reaction'));
  await isAccessible(tab, 'a message with a reaction');
  const goes = (hash) => tab.runs((hash) => (location.hash = hash), hash);
  await goes(`#/g/${groupId}`);
  await shows(tab, 'in the group, https://example.com');
  await isAccessible(tab, 'a group');
  await tab.find('button', 'About this group').click();
  await tab.until('the members', () => document.querySelectorAll('dialog .row').length === 3);
  await isAccessible(tab, 'about a group');
  await tab.presses('Escape');
  for (const [hash, shown] of [['#/lobby', '.message'], ['#/people', '.rows .row'], ['#/groups', '.rows .pill'], ['#/settings', '.settings form']]) {
    // A server without the list of logins has no such card.
    await goes(hash);
    await tab.until(hash, (selector) => document.querySelector(selector), shown);
    await isAccessible(tab, hash);
  }
  await goes('#/groups');
  await tab.until('a group to join', () => document.querySelector('button.row'));
  await tab.runs(() => document.querySelector('button.row').click());
  await tab.until('its dialog', () => document.querySelector('dialog input[type=password]'));
  await isAccessible(tab, 'join a group');
  await tab.field('Password').fill('wrong');
  await tab.presses('Enter');
  await tab.until('the refusal', () => document.querySelector('dialog .field-error').textContent === 'Wrong password.');
  await tab.field('Password').fill('secret');
  await tab.presses('Enter');
  await tab.until('the group', () => document.querySelector('.room-title h1')?.textContent === 'Club');
  await tab.find('button', 'New group').click();
  await tab.until('its dialog', () => document.querySelector('dialog form'));
  await isAccessible(tab, 'make a group');
});

test('signing up, finding somebody and writing work by the keyboard alone', async (t) => {
  const profile = await browser.profile(t);
  const bob = await server.person('bob');
  const phone = await bob.connect();
  const tab = await profile.opens(server.url);
  const focused = () =>
    tab.runs(() => {
      const { textContent, ariaLabel, tagName } = document.activeElement;
      const { outlineStyle, boxShadow } = getComputedStyle(document.activeElement);
      return { name: ariaLabel ?? textContent, tagName, isVisible: outlineStyle !== 'none' || boxShadow !== 'none' };
    });
  const tabsTo = async (name) => {
    for (let steps = 0; steps < 30; steps += 1) {
      await tab.presses('Tab');
      const found = await focused();
      assert.ok(found.isVisible || found.tagName === 'BODY' || found.tagName === 'TEXTAREA', `the focus is visible on ${found.name}`);
      if (found.name.includes(name)) return;
    }
    assert.fail(`Tab never reaches ${name}`);
  };
  await tab.until('the form', () => document.activeElement?.tagName === 'INPUT');
  await tabsTo('Create an account');
  await tab.presses('Enter');
  await tab.types('keys');
  await tab.presses('Tab');
  await tab.presses('Tab');
  await tab.types('correct horse');
  await tab.presses('Enter');
  await isIn(tab);
  await tab.presses('Control+k');
  await tab.types(bob.username);
  await tab.until('the result', (name) => document.querySelector('.results')?.textContent.includes(name), bob.username);
  await tabsTo(bob.username);
  await tab.presses('Enter');
  await tab.until('the field', () => document.activeElement?.tagName === 'TEXTAREA');
  await tab.types('by hand');
  await tab.presses('Enter');
  await phone.seesMessage('by hand');
  await shows(tab, 'by hand', 'delivered');
  await tab.presses('Escape');
  await tab.until('the list', () => location.hash === '#/');
});

test('of thousands of messages only what can be seen is in the page, up to the first one', async (t) => {
  const profile = await browser.profile(t);
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await bob.connect();
  const count = 1000;
  for (let first = 1; first <= count; first += 100) {
    const lines = Array.from({ length: 100 }, (_, n) => ({ receiver: ada.username, content: `line ${first + n}` }));
    await Promise.all(lines.map((line) => phone.socket.emitWithAck('privateMessage', line)));
  }
  await phone.tells(ada, 'the last');
  const tab = await profile.opens(server.url);
  await signsIn(tab, ada);
  await tab.until('all of them', () => document.querySelector('.row .badge')?.textContent.startsWith('999+'));
  await opens(tab, bob.username);
  await tab.until('the line above the unread', () => document.querySelector('.separator.new'));
  await tab.runs(() => document.querySelector('.jump').click());
  await shows(tab, 'the last');
  const inPage = () => tab.runs(() => document.querySelectorAll('.message').length);
  assert.ok((await inPage()) < 150, `${await inPage()} are in the page`);
  await tab.until('the beginning', () => {
    const timeline = document.querySelector('.timeline');
    timeline.scrollTop = 0;
    return [...document.querySelectorAll('.message-text')].some((text) => text.textContent === 'line 1');
  });
  assert.ok((await inPage()) < 150, `${await inPage()} are in the page`);
  const shown = await tab.runs(() => [...document.querySelectorAll('.message')].map((message) => Number(message.dataset.seq)));
  assert.deepEqual(shown, shown.map((_, n) => shown[0] + n), 'without a hole');
});

test('the whole client speaks German', async (t) => {
  const profile = await browser.profile(t, { locale: 'de-AT' });
  const tab = await profile.opens(server.url);
  await tab.find('button', 'Konto anlegen').click();
  await tab.field('Benutzername').fill('deutsch');
  await tab.field('Passwort').fill('richtig gut');
  await tab.find('button', 'Konto anlegen').click();
  await isIn(tab);
  assert.equal(await tab.runs(() => document.documentElement.lang), 'de');
  await tab.find('link', 'Leute finden').click();
  await tab.until('die Leute', () => document.querySelector('.row')?.textContent.includes('Online') || document.body.innerText.includes('Notizen'));
});

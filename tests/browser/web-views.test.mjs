// Every view of the web client: accessible at two sizes in both colours, usable by the keyboard alone, quick when long.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, LOOKS, axe, chooses, isAccessible, isIn, opens, shows, signsIn, signsUp, webServer, writes } from './harness.mjs';

const browser = await Browser.start();
const server = await webServer();

test('axe finds nothing on any view, and every target is large enough', async (t) => {
  const profile = await browser.profile(t);
  const [bob, cyd] = await server.people('bob', 'cyd');
  const phone = await bob.connect();
  const tab = await profile.opens(server.url);
  await tab.runs(axe);
  await tab.find('button', 'Sign in').waitFor();
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
  await chooses(tab, 'hello', 'Reply');
  await isAccessible(tab, 'a reply that is being written');
  await tab.types('to that\n');
  await shows(tab, 'to that', 'stored');
  const { response: hi } = await phone.asks('privateMessage', { receiver: 'ada', content: 'hi' });
  await phone.asks('privateMessage', { receiver: 'ada', content: 'to this', replyTo: hi.messageId });
  await tab.until('both quotes', () => document.querySelectorAll('button.quote').length === 2);
  await isAccessible(tab, 'replies');
  await chooses(tab, 'hello', 'Pin');
  await tab.find('button', 'About this conversation').click();
  await tab.until('the pinned message', () => document.querySelector('dialog .pin-row'));
  await isAccessible(tab, 'pinned messages');
  await tab.presses('Escape');
  await chooses(tab, 'to that', 'Delete');
  await isAccessible(tab, 'a question before something final');
  await tab.presses('Escape');
  await tab.field('Search people and groups').fill('bob');
  await tab.until('the results', () => document.querySelector('.results .row'));
  await isAccessible(tab, 'what a search finds');
  await tab.field('Search people and groups').fill('nobody-at-all');
  await tab.until('no results', () => document.querySelector('.results .empty'));
  await isAccessible(tab, 'a search that finds nothing');
  await tab.field('Search people and groups').fill('');
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
  await tab.presses('Escape');

  // What goes wrong has views, too.
  tab.mayComplain(/status of 40[0134]/, /WebSocket/);
  await goes('#/g/00000000-0000-7000-8000-000000000000');
  await tab.until('the explanation', () => document.querySelector('.pane .empty')?.textContent.includes('not a member'));
  await isAccessible(tab, 'a group of others');
  await opens(tab, 'nobody');
  await writes(tab, 'nobody', 'hello?');
  await shows(tab, 'hello?', 'failed');
  await isAccessible(tab, 'a message that was refused');
  const { body: login } = await server.request('POST', '/api/auth/login', { username: 'ada', password: 'correct horse' });
  const change = { currentPassword: 'correct horse', password: 'another horse' };
  await server.request('PATCH', '/api/users/ada', change, { authorization: `Bearer ${login.token}` });
  await tab.until('the way in', () => document.querySelector('.welcome .notice'));
  await isAccessible(tab, 'a login that has ended');
  await tab.goes(`${server.url}/nowhere`);
  await tab.runs(axe);
  await isAccessible(tab, 'an address where there is nothing');
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

test('of 10,000 messages only what can be seen is in the page, up to the first one', async (t) => {
  const profile = await browser.profile(t);
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await bob.connect();
  let begun;
  for (let first = 1; first < 10_000; first += 500) {
    const lines = Array.from({ length: 500 }, (_, n) => ({ receiver: ada.username, content: `line ${first + n}${' and so on'.repeat(n % 30)}` }));
    const answers = await Promise.all(lines.map((line) => phone.socket.emitWithAck('privateMessage', line)));
    begun ??= answers[0].response.messageId;
  }
  await phone.asks('privateMessage', { receiver: ada.username, content: 'the last', replyTo: begun });
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
  // From the last to the first, and on through all of them: how quick that is depends on the machine, so it is only told.
  await tab.runs(() => document.querySelector('.jump').click());
  await shows(tab, 'the last');
  await tab.locate('.message', 'the last').last().locator('button.quote').click();
  await tab.until('the first message', () => document.querySelector('.message:focus')?.dataset.seq === '1');
  const frames = await tab.runs(async () => {
    const took = [];
    for (let last = performance.now(); took.length < 100; ) {
      document.querySelector('.timeline').scrollTop += 900;
      await new Promise((resolve) => requestAnimationFrame(resolve));
      took.push(performance.now() - last);
      last = performance.now();
    }
    return took.sort((a, b) => a - b).map(Math.round);
  });
  t.diagnostic(`frames while scrolling: median ${frames[50]} ms, worst ${frames[99]} ms`);
  // One more message leaves what is in the page where it is.
  await tab.runs(() => document.querySelector('.jump').click());
  await shows(tab, 'the last');
  await tab.runs(() => {
    window.added = [];
    const observer = new MutationObserver((changes) => window.added.push(...changes.flatMap(({ addedNodes }) => [...addedNodes].map(({ textContent }) => textContent))));
    observer.observe(document.querySelector('.messages'), { childList: true });
  });
  await phone.tells(ada, 'one more');
  await shows(tab, 'one more');
  const added = await tab.runs(() => window.added);
  // The one before it is no longer the last of its block, and at the edge one may come in.
  assert.ok(added.length <= 5, `${added}`);
});

test('the page is ready for languages from right to left', async (t) => {
  const profile = await browser.profile(t);
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await bob.connect();
  await phone.tells(ada, 'مرحبا بالعالم');
  const tab = await profile.opens(server.url);
  await signsIn(tab, ada);
  await opens(tab, bob.username);
  await shows(tab, 'مرحبا بالعالم');
  const layout = () =>
    tab.runs(() => {
      const middle = (selector) => {
        const { left, right } = document.querySelector(selector).getBoundingClientRect();
        // On a phone the sidebar is another page.
        return left === right ? 0.5 : (left + right) / 2 / innerWidth;
      };
      const places = ['.sidebar', '.pane', '.message .bubble', '.send', '.room-head .icon-button:last-child'].map(middle);
      return { places, overflow: document.documentElement.scrollWidth - innerWidth };
    });
  assert.equal(await tab.runs(() => document.documentElement.dir), 'ltr');
  for (const look of LOOKS) {
    await tab.looks(look);
    await tab.runs(() => (document.documentElement.dir = 'ltr'));
    const { places } = await layout();
    await tab.runs(() => (document.documentElement.dir = 'rtl'));
    const mirrored = await layout();
    assert.ok(mirrored.overflow <= 0, 'nothing stands out');
    assert.equal(await tab.runs(() => getComputedStyle(document.querySelector('.room-title h1')).textAlign), 'right', 'names in other letters, too');
    for (const [at, place] of mirrored.places.entries()) assert.ok(Math.abs(place - (1 - places[at])) < 0.02, `${at}: ${places} became ${mirrored.places}`);
  }
  // A text goes its own way, whatever the page does.
  for (const dir of ['ltr', 'rtl']) {
    await tab.runs((dir) => (document.documentElement.dir = dir), dir);
    assert.equal(await tab.runs(() => getComputedStyle(document.querySelector('.message-text')).direction), 'rtl');
  }
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

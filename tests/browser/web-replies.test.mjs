// Replies, pinned messages, and what moderators may do, in the web client.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, chooses, isIn, opens, opensMenu, shows, signsIn, signsUp, texts, until, webServer, writes } from './harness.mjs';

const browser = await Browser.start();

/** Waits until a message shows this quote: who, and what. */
const quotes = (tab, text, expected) =>
  tab.until(`${text} quotes ${expected}`, ([text, expected]) => {
    const message = [...document.querySelectorAll('.message')].find((each) => each.querySelector('.message-text').textContent === text);
    const part = (name) => message?.querySelector(`.quote-${name}`)?.textContent;
    return [part('name'), part('text')].join(': ') === expected;
  }, [text, expected]);

/** Waits until a message is in the view, and marked. */
const isFound = (tab, text) =>
  tab.until(`${text} is in the view`, (text) => {
    const message = document.querySelector('.message.found, .message:focus');
    const [box, room] = [message?.getBoundingClientRect(), document.querySelector('.timeline').getBoundingClientRect()];
    return message?.querySelector('.message-text').textContent === text && box.top >= room.top && box.bottom <= room.bottom;
  }, text);

const follows = (tab, text) => tab.locate('.message', text).last().locator('button.quote').click();

/** What the menu of a message offers. */
async function choices(tab, text) {
  const message = await opensMenu(tab, text);
  const names = await message.locator('.menu > button').allTextContents();
  await tab.presses('Escape');
  return names;
}

/** Two people, each signed up in a browser of their own. `options` are those of Ada's. */
async function adaAndBob(t, options) {
  const [one, other] = [await browser.profile(t, options), await browser.profile(t)];
  const server = await webServer({ t });
  const [ada, bob] = [await one.opens(server.url), await other.opens(server.url)];
  await signsUp(ada, 'ada');
  await signsUp(bob, 'bob');
  return { server, ada, bob };
}

test('a reply quotes what it answers, wherever that is, and leads to it', async (t) => {
  const { server, ada, bob } = await adaAndBob(t);
  await opens(ada, 'bob');
  await opens(bob, 'ada');
  await writes(ada, 'bob', 'where shall we meet?');
  await shows(bob, 'where shall we meet?');
  // Begun and given up: the next message is no reply.
  await chooses(bob, 'where shall we meet?', 'Reply');
  await bob.until('what is answered', () => document.querySelector('.composer-about')?.innerText.includes('Reply to ada: where shall we meet?'));
  await bob.presses('Escape');
  await writes(bob, 'ada', 'hm');
  await chooses(bob, 'where shall we meet?', 'Reply');
  await bob.types('at the station');
  await bob.presses('Enter');
  for (const tab of [ada, bob]) {
    await quotes(tab, 'at the station', 'ada: where shall we meet?');
    assert.equal(await tab.runs(() => document.querySelectorAll('.quote').length), 1);
  }
  // The quote is of the message as it is now.
  await chooses(ada, 'where shall we meet?', 'Edit');
  await ada.field('Message to bob').fill('where do we meet?');
  await ada.presses('Enter');
  for (const tab of [ada, bob]) await quotes(tab, 'at the station', 'ada: where do we meet?');

  // Far below, and after a reload, the quoted message is not in the page. It is asked for, and can be gone to.
  const { body: login } = await server.request('POST', '/api/auth/login', { username: 'bob', password: 'correct horse' });
  const phone = await server.dial({ auth: { token: login.token } }, 'phone');
  await Promise.all(Array.from({ length: 300 }, (_, n) => phone.asks('privateMessage', { receiver: 'ada', content: `line ${n + 1}` })));
  const { response: page } = await phone.asks('history', { receiver: 'ada', group: false, after: 0, limit: 1 });
  await phone.asks('privateMessage', { receiver: 'ada', content: 'still there', replyTo: page.messages[0].messageId });
  await shows(ada, 'still there', '');
  const third = await browser.profile(t);
  const fresh = await third.opens(server.url);
  await signsIn(fresh, { username: 'ada', password: 'correct horse' });
  await opens(fresh, 'bob');
  await fresh.runs(() => document.querySelector('.jump:not([hidden])')?.click());
  await quotes(fresh, 'still there', 'ada: where do we meet?');
  await follows(fresh, 'still there');
  await isFound(fresh, 'where do we meet?');
  await follows(fresh, 'at the station');
  await isFound(fresh, 'where do we meet?');

  // A reply that is written without the server keeps what it answers, over a reload, too.
  for (const tab of [ada, bob, fresh]) tab.mayComplain(/ERR_CONNECTION|ERR_EMPTY|ERR_FAILED|WebSocket|Failed to fetch/);
  await ada.until('the service worker', () => document.documentElement.dataset.worker === 'ready');
  await server.stop();
  await chooses(ada, 'still there', 'Reply');
  await ada.types('yes, still');
  await ada.presses('Enter');
  await shows(ada, 'yes, still', 'pending');
  await ada.reloads();
  await shows(ada, 'yes, still', 'pending');
  await server.run();
  for (const tab of [ada, bob, fresh]) await isIn(tab);
  await bob.runs(() => document.querySelector('.jump:not([hidden])')?.click());
  await quotes(bob, 'yes, still', 'bob: still there');
  await quotes(ada, 'yes, still', 'bob: still there');
  // What was deleted is not shown in a quote either.
  await chooses(ada, 'yes, still', 'Reply');
  await ada.types('over');
  await ada.presses('Enter');
  await quotes(bob, 'over', 'ada: yes, still');
  await chooses(ada, 'yes, still', 'Delete');
  await ada.find('button', 'Cancel').click();
  await quotes(bob, 'over', 'ada: yes, still');
  await chooses(ada, 'yes, still', 'Delete');
  await ada.find('button', 'Delete').last().click();
  for (const tab of [ada, bob]) await quotes(tab, 'over', 'ada: This message was deleted');
});

test('moderators pin and delete in a group, members only read; either of two pins', async (t) => {
  const { server, ada, bob } = await adaAndBob(t);
  const { body: login } = await server.request('POST', '/api/auth/login', { username: 'ada', password: 'correct horse' });
  const phone = await server.dial({ auth: { token: login.token } }, 'phone');
  const { response: { groupId } } = await phone.asks('createGroup', { groupName: 'Team', users: ['bob'] });
  const goes = async (tab, hash, title) => {
    await tab.runs((hash) => (location.hash = hash), hash);
    await tab.until(title, (title) => document.querySelector('.room-title h1')?.textContent === title, title);
  };
  for (const tab of [ada, bob]) await goes(tab, `#/g/${groupId}`, 'Team');
  await writes(ada, 'Team', 'the rules');
  await writes(bob, 'Team', 'the place');
  for (const tab of [ada, bob]) await shows(tab, 'the place');
  assert.deepEqual(await choices(bob, 'the rules'), ['Reply', 'Reply in a thread', 'Forward', 'Copy']);
  assert.deepEqual(await choices(bob, 'the place'), ['Reply', 'Reply in a thread', 'Forward', 'Copy', 'Edit', 'Delete']);
  assert.deepEqual(await choices(ada, 'the place'), ['Reply', 'Reply in a thread', 'Pin', 'Forward', 'Copy', 'Delete']);
  const pinned = (tab) => tab.runs(() => [...document.querySelectorAll('dialog .pin-row .row-last')].map(({ textContent }) => textContent));
  const about = async (tab, name, count) => {
    await tab.find('button', name).click();
    await tab.until('the pinned messages', (count) => document.querySelector('dialog')?.open && !document.querySelector('dialog .skeleton') && document.querySelectorAll('.pin-row').length === count, count);
    return pinned(tab);
  };
  await chooses(ada, 'the place', 'Pin');
  for (const tab of [ada, bob]) await tab.until('the pin', () => document.querySelector('.message .pinned'));
  assert.deepEqual(await about(bob, 'About this group', 1), ['the place']);
  assert.equal(await bob.locate('.pin-row').locator('[aria-label=Unpin]').count(), 0, 'a member cannot');
  await bob.locate('.pin-row button', 'the place').click();
  await isFound(bob, 'the place');

  // Bob becomes an admin: what he may do follows.
  await phone.asks('setRole', { groupId, username: 'bob', role: 'admin' });
  await until('his menu', async () => (await choices(bob, 'the rules')).join() === 'Reply,Reply in a thread,Pin,Forward,Copy,Delete');
  await chooses(bob, 'the rules', 'Pin');
  assert.deepEqual(await about(ada, 'About this group', 2), ['the place', 'the rules']);
  await ada.locate('.pin-row', 'the place').locator('[aria-label=Unpin]').click();
  await ada.until('one is left', () => document.querySelectorAll('.pin-row').length === 1);
  await ada.presses('Escape');
  await chooses(bob, 'the rules', 'Delete');
  await bob.find('button', 'Delete').last().click();
  for (const tab of [ada, bob]) await shows(tab, 'This message was deleted');
  assert.deepEqual(await texts(ada), ['This message was deleted', 'the place']);
  assert.deepEqual(await about(ada, 'About this group', 0), [], 'what is deleted is not pinned');
  await ada.presses('Escape');

  // Between two, either may.
  for (const [tab, name] of [[ada, 'bob'], [bob, 'ada']]) await opens(tab, name);
  await writes(ada, 'bob', 'the address');
  await shows(bob, 'the address');
  await chooses(bob, 'the address', 'Pin');
  await ada.until('the pin', () => document.querySelector('.message .pinned'));
  assert.deepEqual(await about(ada, 'About this conversation', 1), ['the address']);
  await ada.presses('Escape');
  await chooses(ada, 'the address', 'Unpin');
  await bob.until('no pin', () => !document.querySelector('.message .pinned'));
});

test('an administrator moderates the lobby', async (t) => {
  const [one, other] = [await browser.profile(t), await browser.profile(t)];
  const server = await webServer({ t });
  const [ada, bob] = await server.people('ada', 'bob');
  await server.commands('user', 'promote', ada.username);
  const [admin, tab] = [await one.opens(server.url), await other.opens(server.url)];
  await signsIn(admin, ada);
  await signsIn(tab, bob);
  for (const each of [admin, tab]) await each.runs(() => (location.hash = '#/lobby'));
  for (const each of [admin, tab]) await each.until('the lobby', () => document.querySelector('.composer textarea'));
  await (await bob.connect()).asks('lobbyMessage', { content: 'buy now' });
  await (await ada.connect()).asks('lobbyMessage', { content: 'the rules' });
  for (const each of [admin, tab]) await shows(each, 'the rules');
  assert.deepEqual(await choices(tab, 'the rules'), ['Reply', 'Forward', 'Copy']);
  assert.deepEqual(await choices(admin, 'buy now'), ['Reply', 'Pin', 'Forward', 'Copy', 'Delete']);
  await chooses(admin, 'the rules', 'Pin');
  await tab.until('the pin', () => document.querySelector('.message .pinned'));
  await chooses(admin, 'buy now', 'Delete');
  await admin.find('button', 'Delete').last().click();
  await shows(tab, 'This message was deleted');
  // A page that goes on with its cookie knows it, too.
  await admin.reloads();
  await isIn(admin);
  await shows(admin, 'the rules');
  assert.ok((await choices(admin, 'the rules')).includes('Unpin'));
});

test('on a phone, a message shows its menu by a long press, and nothing covers its text', async (t) => {
  const { ada, bob } = await adaAndBob(t, { viewport: { width: 390, height: 800 }, isMobile: true, hasTouch: true });
  await opens(ada, 'bob');
  await opens(bob, 'ada');
  await writes(bob, 'ada', 'press me');
  await shows(ada, 'press me');
  await ada.locate('.room-head', 'bob').hover();
  await ada.until('no button', () => getComputedStyle(document.querySelector('.message-more')).opacity === '0');
  const text = ada.locate('.message-text', 'press me');
  const touches = (name, x) => text.dispatchEvent(name, { bubbles: true, pointerType: 'touch', clientX: x, clientY: 300 });
  // A finger that moves on scrolls, and presses nothing.
  await touches('pointerdown', 100);
  await touches('pointermove', 140);
  await touches('pointerup', 140);
  await touches('pointerdown', 100);
  await ada.until('the menu', () => document.querySelector('.message-menu[open] .menu'));
  await touches('pointerup', 100);
  const menu = await ada.runs(() => {
    const { left, right } = document.querySelector('.menu').getBoundingClientRect();
    return left >= 0 && right <= innerWidth;
  });
  assert.ok(menu, 'the menu is on the screen');
  await ada.find('button', 'Reply').tap();
  await ada.until('what is answered', () => document.querySelector('.composer-about')?.innerText.includes('Reply to bob: press me'));
});

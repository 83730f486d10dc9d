// Messages that change after they were sent, in the web client: edited, deleted, reacted to; live, and after an absence.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, chooses, hasStockClient, isIn, opens, shows, signsIn, signsUp, texts, webServer, writes } from './harness.mjs';

const browser = await Browser.start();

/** The reactions to a message, as people see them. */
const reactions = (tab, text) =>
  tab.runs((text) => {
    const message = [...document.querySelectorAll('.message')].find((each) => each.querySelector('.message-text').textContent === text);
    return [...message.querySelectorAll('.reaction')].map((each) => `${each.textContent}${each.getAttribute('aria-pressed') === 'true' ? ' mine' : ''}`);
  }, text);

const reacted = (tab, text, expected) =>
  tab.until(
    `the reactions ${expected} to ${text}`,
    ([text, expected]) => {
      const message = [...document.querySelectorAll('.message')].find((each) => each.querySelector('.message-text').textContent === text);
      return [...(message?.querySelectorAll('.reaction') ?? [])].map((each) => each.textContent).join() === expected;
    },
    [text, expected],
  );

for (const stock of [false, true]) {
  test(`changes show at once, and after an absence: over ${stock ? 'Socket.IO' : 'WebSocket'}`, async (t) => {
    const [one, other] = [await browser.profile(t), await browser.profile(t)];
    const server = await webServer({ t, stock });
    if (!stock && (await hasStockClient(server))) return t.skip('this build contains the stock client');
    const [ada, bob] = [await one.opens(server.url), await other.opens(server.url)];
    await signsUp(ada, 'ada');
    await signsUp(bob, 'bob');
    await opens(ada, 'bob');
    await opens(bob, 'ada');
    for (const text of ['first', 'second', 'third']) {
      await writes(ada, 'bob', text);
      await shows(bob, text);
    }
    // Edited: the text is in the field, and goes there again.
    await chooses(ada, 'first', 'Edit');
    assert.equal(await ada.runs(() => document.querySelector('.composer textarea').value), 'first');
    await ada.field('Message to bob').fill('first, edited');
    await ada.presses('Enter');
    await shows(bob, 'first, edited');
    await shows(ada, 'first, edited');
    assert.equal(await bob.runs(() => document.querySelectorAll('.edited').length), 1);
    assert.equal(await ada.runs(() => document.querySelector('.composer textarea').value), '');
    // Reacted to by both, and withdrawn by one.
    await chooses(bob, 'second', 'React with 👍');
    await reacted(ada, 'second', '👍1');
    await chooses(ada, 'second', 'React with 👍');
    await reacted(bob, 'second', '👍2');
    assert.deepEqual(await reactions(bob, 'second'), ['👍2 mine']);
    await bob.find('button', '👍: 2 people').click();
    for (const tab of [ada, bob]) await reacted(tab, 'second', '👍1');
    assert.deepEqual(await reactions(bob, 'second'), ['👍1']);

    // While bob is away, more happens.
    await bob.goes('about:blank');
    await chooses(ada, 'third', 'Delete');
    await ada.find('button', 'Delete').last().click();
    await shows(ada, 'This message was deleted');
    await chooses(ada, 'first, edited', 'Edit');
    await ada.field('Message to bob').fill('first, edited twice');
    await ada.presses('Enter');
    await shows(ada, 'first, edited twice');
    await writes(ada, 'bob', 'fourth');
    await shows(ada, 'fourth', 'stored');
    await bob.goes(`${server.url}/#/u/ada`);
    await isIn(bob);
    await shows(bob, 'fourth');
    await shows(bob, 'first, edited twice');
    const all = ['first, edited twice', 'second', 'This message was deleted', 'fourth'];
    await shows(bob, 'This message was deleted');
    assert.deepEqual(await texts(bob), all);
    // What is on the disk is the same: a page that is loaded anew shows it, too.
    await bob.reloads();
    await isIn(bob);
    await shows(bob, 'fourth');
    assert.deepEqual(await texts(bob), all);
    await reacted(bob, 'second', '👍1');
    assert.deepEqual(await texts(ada), all);
  });
}

/** From now on, what the page reads from its disk waits until `held.lets()`; `held.waits` says that something does. */
const holdsTheDisk = (tab) =>
  tab.runs(() => {
    const { getAll } = IDBObjectStore.prototype;
    window.held = { waits: false };
    IDBObjectStore.prototype.getAll = function (...range) {
      const request = getAll.apply(this, range);
      if (this.name !== 'messages') return request;
      const later = {};
      request.onsuccess = () => {
        held.waits = true;
        held.lets = () => {
          IDBObjectStore.prototype.getAll = getAll;
          later.result = request.result;
          later.onsuccess();
        };
      };
      return later;
    };
  });

test('a change that comes while the conversation is read from the disk shows', async (t) => {
  const profile = await browser.profile(t);
  const server = await webServer({ t });
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  const tab = await profile.opens(server.url);
  await signsIn(tab, bob);
  const { response: { messageId } } = await phone.asks('privateMessage', { receiver: bob.username, content: 'first' });
  await tab.until('the message', () => document.querySelector('.row-last')?.textContent === 'first');
  await tab.reloads();
  await isIn(tab);
  await holdsTheDisk(tab);
  await opens(tab, ada.username);
  await tab.until('the disk', () => held.waits);
  await phone.asks('editMessage', { messageId, content: 'first, edited' });
  await tab.until('the change', () => document.querySelector('.row-last')?.textContent === 'first, edited');
  await tab.runs(() => held.lets());
  await shows(tab, 'first, edited');
});

test('what is changed in the lobby while a device is away shows when it is back', async (t) => {
  const profile = await browser.profile(t);
  const server = await webServer({ t });
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await ada.connect();
  const said = async (content) => (await phone.asks('lobbyMessage', { content })).response.messageId;
  const ids = [await said('first'), await said('second'), await said('third')];
  const tab = await profile.opens(server.url);
  await signsIn(tab, bob);
  await tab.runs(() => (location.hash = '#/lobby'));
  await shows(tab, 'third');
  await tab.goes('about:blank');
  await phone.asks('editMessage', { messageId: ids[0], content: 'first, edited' });
  await phone.asks('deleteMessage', { messageId: ids[1] });
  await said('fourth');
  await tab.goes(`${server.url}/#/lobby`);
  await isIn(tab);
  await shows(tab, 'fourth');
  await shows(tab, 'first, edited');
  await shows(tab, 'This message was deleted');
  // Also when the first thing that it hears is a later change.
  await profile.goesOffline();
  await tab.until('no connection', () => document.querySelector('.app')?.dataset.status !== 'online');
  await phone.asks('editMessage', { messageId: ids[0], content: 'first, edited twice' });
  await profile.goesOnline();
  await phone.asks('editMessage', { messageId: ids[2], content: 'third, edited' });
  await isIn(tab);
  await shows(tab, 'third, edited');
  await shows(tab, 'first, edited twice');
});

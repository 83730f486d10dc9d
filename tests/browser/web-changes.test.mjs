// Messages that change after they were sent, in the web client: edited, deleted, reacted to; live, and after an absence.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, hasStockClient, isIn, opens, shows, signsUp, texts, webServer, writes } from './harness.mjs';

const browser = await Browser.start();

/** Opens the menu of a message and chooses something in it. */
async function chooses(tab, text, name) {
  const message = tab.locate('.message', text);
  await message.hover();
  await message.locator('summary').click();
  await message.getByRole('button', { name, exact: true }).click();
}

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
    await reacted(ada, 'second', '👍1');
    assert.deepEqual(await reactions(bob, 'second'), ['👍1']);

    // While bob is away, more happens.
    await bob.goes('about:blank');
    await chooses(ada, 'third', 'Delete');
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

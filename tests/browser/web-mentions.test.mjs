// Mentions in the web client: offered while one writes, highlighted, and counted.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, axe, isAccessible, signsIn, webServer } from './harness.mjs';

const browser = await Browser.start();

test('members are offered after an @, by keys and by pointer, and see that they are mentioned', async (t) => {
  const [one, other] = [await browser.profile(t), await browser.profile(t)];
  const server = await webServer({ t });
  const [ada, bob, cyd] = await server.people('ada', 'bob', 'cyd');
  const phone = await cyd.connect();
  const { response: group } = await phone.asks('createGroup', { groupName: 'Team', users: [ada.username, bob.username] });
  const [here, there] = [await one.opens(server.url), await other.opens(server.url)];
  await here.runs(axe);
  await signsIn(here, ada);
  await signsIn(there, bob);
  await here.runs((id) => (location.hash = `#/g/${id}`), group.groupId);
  const field = here.field('Message to Team');
  const options = (names) => here.until(`the names ${names}`, (names) => JSON.stringify([...document.querySelectorAll('.mentions:not([hidden]) [role=option] > [dir]')].map(({ textContent }) => textContent).sort()) === JSON.stringify(names), names);
  const active = () => here.runs(() => document.getElementById(document.querySelector('.composer textarea').getAttribute('aria-activedescendant'))?.textContent);
  await field.focus();
  await here.types('hi @');
  await options([bob.username, cyd.username].sort());
  await isAccessible(here, 'the names that are offered');
  // A click beside the list hits what was under the pointer, though the list closes.
  await here.find('button', 'Threads').click();
  await here.until('the dialog', () => document.querySelector('dialog'));
  await here.presses('Escape');
  await field.focus();
  await field.fill('');
  await here.types('hi @');
  await options([bob.username, cyd.username].sort());
  const first = await active();
  await here.presses('ArrowDown');
  assert.notEqual(await active(), first);
  // Escape closes the list, and leaves the conversation open.
  await here.presses('Escape');
  await options([]);
  assert.ok(await here.runs(() => location.hash.startsWith('#/g/')));
  await field.fill('');
  await here.types(`hi @${bob.username.slice(0, -1)}`);
  await options([bob.username]);
  await here.presses('Enter');
  assert.equal(await field.inputValue(), `hi @${bob.username} `);
  await here.types('and @');
  await options([bob.username, cyd.username].sort());
  await here.locate('.mentions [role=option]', cyd.username).click();
  await here.presses('Enter');
  await phone.seesMessage(`hi @${bob.username} and @${cyd.username}`);
  const mentioned = (tab) => tab.until('both names', () => document.querySelectorAll('.message .mention').length === 2);
  await mentioned(here);
  await there.until('the badge', () => document.querySelector('.sidebar .badge.mentioned')?.textContent === '@ 1 mention of you');
  await there.runs((id) => (location.hash = `#/g/${id}`), group.groupId);
  await mentioned(there);
  assert.equal(await there.runs(() => document.querySelector('.mention.me').textContent), `@${bob.username}`);
  await there.until('no badge', () => !document.querySelector('.sidebar .badge.mentioned'));
  await here.runs(() => document.querySelector('.composer textarea').blur());
  await isAccessible(here, 'a message with mentions');
  // The list shows a mention of everyone, also after a reload.
  await there.runs(() => (location.hash = '#/'));
  await phone.asks('groupMessage', { receiver: group.groupId, content: 'all of you', mentionsAll: true });
  await there.until('the badge', () => document.querySelector('.sidebar .badge.mentioned'));
  await there.runs(axe);
  await isAccessible(there, 'a mention in the list');
  await there.reloads();
  await there.until('the badge', () => document.querySelector('.sidebar .badge.mentioned')?.textContent === '@ 1 mention of you');
});

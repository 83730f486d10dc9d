// Forwarding in the web client: a copy goes to another conversation, and says whose message it was.
import { test } from 'node:test';
import { Browser, axe, chooses, isAccessible, opens, shows, signsIn, signsInInGerman, webServer } from './harness.mjs';

const browser = await Browser.start();

test('a message is forwarded to another conversation, by the keyboard alone', async (t) => {
  const [one, other] = [await browser.profile(t), await browser.profile(t, { locale: 'de' })];
  const server = await webServer({ t });
  const [ada, bob, cyd] = await server.people('ada', 'bob', 'cyd');
  const phone = await bob.connect();
  await phone.tells(ada, 'the door code is 4711');
  await phone.asks('createGroup', { groupName: 'Team', users: [ada.username] });
  await (await cyd.connect()).tells(ada, 'hi');
  const tab = await one.opens(server.url);
  await tab.runs(axe);
  await signsIn(tab, ada);
  await opens(tab, bob.username);
  await shows(tab, 'the door code is 4711');
  await chooses(tab, 'the door code is 4711', 'Forward');
  await tab.until('the conversations', () => document.querySelectorAll('dialog .rows .row').length === 3 && document.activeElement?.matches('dialog input[type=search]'));
  await isAccessible(tab, 'where to forward a message');
  await tab.types(cyd.username);
  await tab.until('the one that fits', () => document.querySelectorAll('dialog .rows .row').length === 1);
  await tab.presses('Shift+Tab');
  await tab.types('from Bob:');
  await tab.presses('Tab', 'Tab');
  await tab.until('its row', () => document.activeElement?.matches('dialog .rows .row'));
  await tab.presses('Enter');
  await tab.until('the other conversation', (name) => location.hash === `#/u/${name}` && !document.querySelector('dialog'), cyd.username);
  await shows(tab, 'from Bob:');
  await shows(tab, 'the door code is 4711');
  await tab.until('whose it was', (name) => document.querySelector('.message .forwarded')?.textContent === `Forwarded from ${name}`, bob.username);
  await isAccessible(tab, 'a forwarded message');

  const german = await other.opens(server.url);
  await signsInInGerman(german, cyd);
  await german.until('the row', () => document.querySelectorAll('.sidebar a.row').length > 1);
  await german.runs((name) => (location.hash = `#/u/${name}`), ada.username);
  await german.until('whose it was', (name) => document.querySelector('.message .forwarded')?.textContent === `Weitergeleitet, von ${name}`, bob.username);
});

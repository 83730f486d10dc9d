// What people do in the web client that the server serves at `/`.
import { freePort } from '../../socket-io-client/harness/waiting.mjs';
import { Server } from '../../socket-io-client/harness/server.mjs';
import { settingsFor } from './settings.mjs';

/** A server that serves the client: with the stock client from npm, or without any. */
export async function webServer({ t, stock = false, settings = {} } = {}) {
  const port = await freePort();
  const own = settingsFor(`http://127.0.0.1:${port}`);
  if (!stock) own.SERVER__CLIENT_FOLDER = '/nowhere';
  return Server.start({ t, port, settings: { ...own, ...settings } });
}

/** Whether a server hands out the stock client: a build that contains it always does. */
export async function hasStockClient(server) {
  const { body } = await server.request('GET', '/parlor.json');
  return body.socketIo;
}

/** Signs up and waits until the chats are there. */
export async function signsUp(tab, username, password = 'correct horse') {
  await tab.find('button', 'Create an account').click();
  await tab.field('Username').fill(username);
  await tab.field('Password').fill(password);
  await tab.find('button', 'Create an account').click();
  await isIn(tab);
}

export async function signsIn(tab, { username, password }) {
  await tab.field('Username').fill(username);
  await tab.field('Password').fill(password);
  await tab.find('button', 'Sign in').click();
  await isIn(tab);
}

/** The same in a browser that speaks German. */
export async function signsInInGerman(tab, { username, password }) {
  await tab.field('Benutzername').fill(username);
  await tab.field('Passwort').fill(password);
  await tab.find('button', 'Anmelden').click();
  await isIn(tab);
}

/** Signed in and connected. */
export const isIn = (tab) => tab.until('a connection', () => document.querySelector('.app')?.dataset.status === 'online');

/** Opens the conversation with somebody, by their address. */
export async function opens(tab, username) {
  await tab.runs((name) => (location.hash = `#/u/${name}`), username);
  await tab.until(`the conversation with ${username}`, (name) => document.querySelector('.composer textarea')?.ariaLabel === `Message to ${name}`, username);
}

export async function writes(tab, username, text) {
  await tab.field(`Message to ${username}`).fill(text);
  await tab.presses('Enter');
}

/** Opens the menu of a message and chooses something in it. */
export async function chooses(tab, text, name) {
  const message = await opensMenu(tab, text);
  await message.getByRole('button', { name, exact: true }).click();
}

/** Opens the menu of a message, and waits for what is in it. */
export async function opensMenu(tab, text) {
  const message = tab.locate('.message:has(.message-text)', text).first();
  await message.hover();
  await message.locator('summary').click();
  await message.locator('.menu').waitFor();
  return message;
}

/** Waits for a message on the screen with this tick, or any. */
export const shows = (tab, text, tick = '') =>
  tab.until(
    `"${text}" ${tick}`,
    ([text, tick]) =>
      [...document.querySelectorAll('.message')].some(
        (message) => message.querySelector('.message-text').textContent === text && (!tick || message.querySelector(`.tick.${tick}`)),
      ),
    [text, tick],
  );

/** The texts of the open conversation, as far as they are in the page. */
export const texts = (tab) => tab.runs(() => [...document.querySelectorAll('.message-text')].map((text) => text.textContent));

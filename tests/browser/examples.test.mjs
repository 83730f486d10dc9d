// The front ends of examples/: built as their READMEs say, served by the server, and used by two people.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Browser, Server, freePort, settingsFor } from './harness.mjs';

const browser = await Browser.start();
const path = (name) => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));
const AWAY = /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_INTERNET_DISCONNECTED|WebSocket|status of 400/;

/** A server whose page is this folder. */
const serving = async (t, folder) => Server.start({ t, port: await freePort(), settings: { ...settingsFor(), WEB__FOLDER: path(folder) } });

async function signsUp(tab, username) {
  await tab.field('Username').fill(username);
  await tab.field('Password').fill('correct horse');
  await tab.find('button', 'Create an account').click();
  await tab.until('the chat', () => document.querySelector('main:not([hidden])'));
}

for (const name of ['react-chat', 'angular-chat']) {
  const items = (tab) => tab.runs(() => [...document.querySelectorAll('section ol li')].reverse().map(({ innerText }) => innerText.trim().replace(/\s+/g, ' ')));
  const shows = (tab, ...expected) =>
    tab.until(`the last messages ${expected}`, (expected) => {
      const shown = [...document.querySelectorAll('section ol li')].reverse().map(({ innerText }) => innerText.trim().replace(/\s+/g, ' '));
      return shown.slice(-expected.length).join('|') === expected.join('|');
    }, expected);
  const begins = async (tab, name) => {
    await tab.field('Write to').fill(name);
    await tab.presses('Enter');
    await tab.until(`the conversation with ${name}`, (name) => document.querySelector('h2')?.textContent === name, name);
  };
  const writes = async (tab, name, text) => {
    await tab.field(`Message to ${name}`).fill(text);
    await tab.presses('Enter');
  };

  test(`${name} has at most 300 lines, and a lock file that names no host`, async () => {
    const sources = await readdir(path(`${name}/src`));
    const texts = await Promise.all(sources.map((source) => readFile(path(`${name}/src/${source}`), 'utf8')));
    const lines = texts.reduce((sum, text) => sum + text.split('\n').length - 1, 0);
    assert.ok(lines <= 300, `${lines} lines`);
    assert.doesNotMatch(await readFile(path(`${name}/package-lock.json`), 'utf8'), /"resolved"/);
  });

  test(`${name}: two people chat, lose the server and their login, and nothing else`, async (t) => {
    const built = spawnSync('npm', ['run', 'build', '--silent'], { cwd: path(name), encoding: 'utf8' });
    assert.equal(built.status, 0, built.stdout + built.stderr);
    const [one, other] = [await browser.profile(t), await browser.profile(t)];
    const server = await serving(t, `${name}/dist`);
    const [ada, bob] = [await one.opens(server.url), await other.opens(server.url)];
    await signsUp(ada, 'ada');
    await signsUp(bob, 'bob');
    // Each message says how far it has come.
    await begins(ada, 'bob');
    await writes(ada, 'bob', 'hello <b>Bob</b>');
    await shows(ada, 'hello <b>Bob</b> delivered');
    await bob.until('a badge', () => document.querySelector('nav .badge')?.textContent === '1');
    await bob.locate('nav button', 'ada').click();
    await shows(bob, 'hello <b>Bob</b>');
    await shows(ada, 'hello <b>Bob</b> read');
    await bob.until('no badge', () => !document.querySelector('nav .badge'));
    // A program as a third device, with more than a page of history, and a group.
    const { body: login } = await server.request('POST', '/api/auth/login', { username: 'bob', password: 'correct horse' });
    const phone = await server.dial({ auth: { token: login.token } }, 'phone');
    for (let n = 1; n <= 40; n += 1) await phone.asks('privateMessage', { receiver: 'ada', content: `line ${n}` });
    const { response: group } = await phone.asks('createGroup', { groupName: 'Team', users: ['ada'] });
    await phone.asks('groupMessage', { receiver: group.groupId, content: 'welcome' });
    await ada.locate('nav button', 'Team').click();
    await shows(ada, 'bob welcome');
    await ada.reloads();
    await ada.locate('nav button', 'bob').click();
    await shows(ada, 'line 39', 'line 40');
    assert.equal((await items(ada)).length, 31, 'a page, and the button');
    await ada.find('button', 'Older messages').click();
    await ada.until('the first message', () => document.querySelectorAll('section ol li').length === 41);
    assert.deepEqual((await items(ada)).slice(0, 3), ['hello <b>Bob</b> read', 'line 1', 'line 2']);

    // The network goes: what is missed comes by `since`, what is written waits, and each is there once.
    // Another device of ada's gets everything meanwhile: only the page itself can say what it lacks.
    const { body: own } = await server.request('POST', '/api/auth/login', { username: 'ada', password: 'correct horse' });
    const tablet = await server.dial({ auth: { token: own.token } }, 'tablet');
    for (const tab of [ada, bob]) tab.mayComplain(AWAY);
    await one.goesOffline();
    await ada.until('the loss to be noticed', () => document.querySelector('.status').textContent.includes('sent later'));
    await phone.asks('privateMessage', { receiver: 'ada', content: 'missed' });
    await tablet.seesMessage('missed');
    await shows(bob, 'line 40 read', 'missed delivered');
    await writes(ada, 'bob', 'written offline');
    await shows(ada, 'line 40', 'written offline sending');
    await one.goesOnline();
    await shows(ada, 'line 40', 'missed', 'written offline read');
    await shows(bob, 'line 40 read', 'missed read', 'written offline');
    // The server is killed with a message under way.
    await server.crash();
    await writes(ada, 'bob', 'over a crash');
    await server.run();
    await shows(ada, 'written offline read', 'over a crash read');
    await shows(bob, 'written offline', 'over a crash');

    // The login ends, with `token-expired`; the next one goes on where this one was.
    ada.mayComplain(/status of 401/);
    const change = { currentPassword: 'correct horse', password: 'another horse' };
    assert.equal((await server.request('PATCH', '/api/users/ada', change, { authorization: `Bearer ${own.token}` })).status, 200);
    await ada.until('the reason', () => document.querySelector('[role=alert]')?.textContent.includes('Your login has ended'));
    await ada.field('Username').fill('ada');
    await ada.field('Password').fill('correct horse');
    await ada.find('button', 'Sign in').click();
    await ada.until('the refusal', () => document.querySelector('[role=alert]')?.textContent.includes('password'));
    await ada.field('Password').fill('another horse');
    await ada.find('button', 'Sign in').click();
    await shows(ada, 'written offline read', 'over a crash read');
    await writes(bob, 'ada', 'the end');
    await shows(ada, 'over a crash read', 'the end');
    assert.equal((await items(ada)).length, 45, 'nothing came twice');
  });
}

test('plain-page: edits, deletions and reactions reach a device that was offline', async (t) => {
  const [one, other] = [await browser.profile(t), await browser.profile(t)];
  const server = await serving(t, 'plain-page');
  const [ada, bob] = [await one.opens(server.url), await other.opens(server.url)];
  const texts = (tab) => tab.runs(() => [...document.querySelectorAll('#messages li')].map((item) => item.querySelector('span').textContent + item.querySelector('small').textContent.trimEnd()));
  const shows = (tab, ...expected) =>
    tab.until(`the messages ${expected}`, (expected) => [...document.querySelectorAll('#messages li')].map((item) => item.querySelector('span').textContent + item.querySelector('small').textContent.trimEnd()).join('|') === expected.join('|'), expected);
  const isOnline = (tab) => tab.until('a connection', () => document.querySelector('#status').textContent.endsWith(': Online'));
  for (const [tab, name] of [[ada, 'ada'], [bob, 'bob']]) {
    await signsUp(tab, name);
    await isOnline(tab);
  }
  const writes = async (tab, receiver, text) => {
    await tab.field('To').fill(receiver);
    await tab.field('Message').fill(text);
    await tab.find('button', 'Send').click();
    await tab.until('it is sent', () => document.querySelector('#text').value === '');
  };
  const does = (tab, text, label) => tab.locate('#messages li', text).getByRole('button', { name: label }).click();
  const edits = async (tab, text, to) => {
    await tab.runs((to) => (window.prompt = () => to), to);
    await does(tab, text, 'Edit');
  };
  for (const text of ['first', 'second', 'third']) await writes(ada, 'bob', text);
  await shows(bob, 'first', 'second', 'third');
  await edits(ada, 'first', 'first again');
  await does(bob, 'second', '❤️');
  for (const tab of [ada, bob]) {
    await shows(tab, 'first again edited', 'second', 'third');
    await tab.until('the heart', () => document.querySelectorAll('#messages li')[1].textContent.includes('❤️ 1'));
  }
  // Bob is away: a message, an edit, a deletion, a reaction withdrawn and one added. Then he is back.
  await bob.find('button', 'Go offline').click();
  await writes(ada, 'bob', 'fourth');
  await edits(ada, 'first again', 'first for good');
  await does(ada, 'second', '❤️');
  await does(ada, 'third', 'Delete');
  const all = ['first for good edited', 'second', 'deleted', 'fourth'];
  await shows(ada, ...all);
  assert.deepEqual(await texts(bob), ['first again edited', 'second', 'third'], 'he really was away');
  await bob.find('button', 'Go online').click();
  await shows(bob, ...all);
  await bob.until('both hearts', () => document.querySelectorAll('#messages li')[1].textContent.includes('❤️ 2'));
  // A page that is loaded anew has the store of the one before, and gets only what is new.
  await bob.reloads();
  await edits(ada, 'fourth', 'fourth, late');
  await bob.field('Username').fill('bob');
  await bob.field('Password').fill('correct horse');
  await bob.find('button', 'Sign in').click();
  await shows(bob, 'first for good edited', 'second', 'deleted', 'fourth, late edited');
  // A refusal is told where people look.
  await does(ada, 'fourth, late', 'Delete');
  await shows(bob, 'first for good edited', 'second', 'deleted', 'deleted');
});

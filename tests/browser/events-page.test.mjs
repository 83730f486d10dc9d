// The page at /docs/events: somebody signs in, sends an event, and watches what comes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, webServer } from './harness.mjs';

const browser = await Browser.start();

const status = (tab, wanted) =>
  tab.until(`the status "${wanted}"`, (text) => document.querySelector('#status').textContent.startsWith(text), wanted);

/** The data of the newest entry of the stream that begins like this. */
const streams = (tab, what) =>
  tab.until(
    `${what} in the stream`,
    (what) => {
      const entries = [...document.querySelectorAll('#stream li')];
      return entries.find((entry) => entry.querySelector('.of').textContent.startsWith(what))?.querySelector('pre').textContent;
    },
    what,
  ).then(JSON.parse);

/** The page, for somebody who is not signed in. It asks whether anybody is. */
async function opens(profile, server) {
  const tab = await profile.opens(`${server.url}/healthz`);
  tab.mayComplain(/status of 401/);
  await tab.goes(`${server.url}/docs/events`);
  await status(tab, 'Sign in');
  return tab;
}

async function signsIn(tab, { username, password }) {
  await tab.field('Username').fill(username);
  await tab.field('Password').fill(password);
  await tab.find('button', 'Sign in').click();
}

test('an event is sent from its example, answered, and what others send is shown', async (t) => {
  const profile = await browser.profile(t);
  const server = await webServer({ t });
  const [ada, bob] = await server.people('ada', 'bob');
  const tab = await opens(profile, server);
  await signsIn(tab, ada);
  await status(tab, `Connected to /ws as ${ada.username}`);

  await tab.field('Event').selectOption('privateMessage');
  const example = JSON.parse(await tab.field('Payload').inputValue());
  assert.deepEqual(example, { receiver: '', content: '' }, 'the fields that it needs');
  await tab.field('Payload').fill(JSON.stringify({ receiver: bob.username, content: 'hi' }));
  await tab.find('button', 'Send').click();
  const answer = await streams(tab, '← answer to privateMessage');
  assert.equal(answer.success, true);
  assert.equal((await streams(tab, '← response')).response.messageId, answer.response.messageId);
  assert.deepEqual(await streams(tab, '→ acknowledgement of response'), { success: true });

  const phone = await bob.connect();
  await phone.seesMessage('hi');
  await phone.does('typing', { receiver: ada.username, group: false, typing: true });
  assert.equal((await streams(tab, '← typing')).sender, bob.username);

  await tab.field('Payload').fill('{');
  await tab.find('button', 'Send').click();
  await status(tab, 'The payload is no JSON');
});

test('a wrong password says so, and every event is in the reference', async (t) => {
  const profile = await browser.profile(t);
  const server = await webServer({ t });
  const ada = await server.person('ada');
  const tab = await opens(profile, server);
  await signsIn(tab, { ...ada, password: 'something else' });
  await status(tab, 'Wrong username or password');

  const { body } = await server.request('GET', '/asyncapi.json');
  const events = ['chat', 'root'].flatMap((channel) =>
    Object.entries(body.channels[channel].messages).filter(([key]) => !key.includes('.') || key.endsWith('.event')),
  );
  const shown = await tab.runs(() => [...document.querySelectorAll('#reference tr td:first-child')].map((cell) => cell.textContent));
  assert.deepEqual(shown.sort(), events.map(([, { name }]) => name).sort());
  const choices = await tab.runs(() => [...document.querySelectorAll('option')].map(({ value }) => value));
  assert.equal(choices.length, Object.keys(body.channels.chat.messages).filter((key) => !key.includes('.')).length);
});

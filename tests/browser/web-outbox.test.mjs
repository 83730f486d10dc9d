// What is written in the web client arrives once and in order, whatever happens to the server or the page.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, isIn, opens, shows, signsUp, texts, webServer, writes } from './harness.mjs';

const browser = await Browser.start();
/** What a browser says of a server that is not there. */
const AWAY = [/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_FAILED|WebSocket|Failed to fetch|status of 400/];

/** Ada and Bob, each in a browser of their own, in their conversation. */
async function scene(t, options) {
  const profiles = [await browser.profile(t), await browser.profile(t)];
  const server = await webServer({ t, ...options });
  const [ada, bob] = await Promise.all(profiles.map((profile) => profile.opens(server.url)));
  await signsUp(ada, 'ada');
  await signsUp(bob, 'bob');
  await opens(ada, 'bob');
  await opens(bob, 'ada');
  for (const tab of [ada, bob]) tab.mayComplain(...AWAY);
  return { server, ada, bob };
}

for (const stock of [false, true]) {
  test(`20 messages of which the server is killed in the middle arrive once and in order: ${stock ? 'Socket.IO' : 'WebSocket'}`, async (t) => {
    const { server, ada, bob } = await scene(t, { stock });
    const written = Array.from({ length: 20 }, (_, n) => `message ${n + 1}`);
    for (const [n, text] of written.entries()) {
      await writes(ada, 'bob', text);
      if (n === 9) {
        await shows(bob, 'message 5');
        await server.crash();
      }
    }
    await server.run();
    for (const tab of [ada, bob]) {
      await shows(tab, 'message 20');
      assert.deepEqual(await texts(tab), written);
    }
    await shows(ada, 'message 20', 'read');
    await shows(ada, 'message 1', 'read');
    // What the devices have kept is the same.
    for (const tab of [ada, bob]) {
      await tab.reloads();
      await isIn(tab);
      await shows(tab, 'message 20');
      assert.deepEqual(await texts(tab), written);
    }
  });
}

test('a page that is reloaded without the server opens, takes a message, and delivers it once', async (t) => {
  const { server, ada, bob } = await scene(t);
  await writes(ada, 'bob', 'before');
  await shows(ada, 'before', 'read');
  await ada.until('the service worker', () => document.documentElement.dataset.worker === 'ready');
  await server.stop();
  await ada.reloads();
  await shows(ada, 'before');
  await writes(ada, 'bob', 'without a server');
  await shows(ada, 'without a server', 'pending');
  await ada.reloads();
  await shows(ada, 'without a server', 'pending');
  await ada.until('a word about it', () => document.querySelector('.status')?.textContent.includes('sent later'));
  await server.run();
  await shows(ada, 'without a server', 'read');
  await shows(bob, 'without a server');
  await writes(bob, 'ada', 'the end');
  for (const tab of [ada, bob]) {
    await shows(tab, 'the end');
    assert.deepEqual(await texts(tab), ['before', 'without a server', 'the end']);
  }
});

test('what the server refuses for good stays with the reason, and does not hold up the next', async (t) => {
  const profile = await browser.profile(t);
  const server = await webServer({ t, settings: { LIMITS__CONTENT_BYTES: '100' } });
  const ada = await profile.opens(server.url);
  await signsUp(ada, 'ada');
  await opens(ada, 'ada');
  await writes(ada, 'ada', 'x'.repeat(101));
  await ada.until('the reason', () => document.querySelector('.composer-error').textContent.includes('too long'));
  assert.equal(await ada.field('Message to ada').inputValue(), 'x'.repeat(101));
  await ada.field('Message to ada').fill('');
  ada.mayComplain(/status of 404 .*nobody/);
  // Somebody who does not exist: only the server knows.
  await opens(ada, 'nobody');
  await writes(ada, 'nobody', 'hello?');
  await shows(ada, 'hello?', 'failed');
  await ada.find('button', 'Discard').click();
  await ada.until('it is gone', () => !document.querySelector('.message'));
  await opens(ada, 'ada');
  await writes(ada, 'ada', 'a note');
  await shows(ada, 'a note', 'stored');
});

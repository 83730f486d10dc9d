// The web client that the server serves at `/`, as people use it, with each of its two connectors.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, hasStockClient, isIn, opens, shows, signsIn, signsUp, texts, webServer, writes } from './harness.mjs';

const browser = await Browser.start();

for (const [stock, connector] of [[false, 'WebSocket'], [true, 'Socket.IO']]) {
  test(`two people sign up, one writes, the other reads, both ticks appear: over ${connector}`, async (t) => {
    const [one, other] = [await browser.profile(t), await browser.profile(t)];
    const server = await webServer({ t, stock });
    if (!stock && (await hasStockClient(server))) return t.skip('this build contains the stock client');
    const [ada, bob] = [await one.opens(server.url), await other.opens(server.url)];
    await signsUp(ada, 'ada');
    await signsUp(bob, 'bob');
    await ada.find('link', 'People').click();
    await ada.find('link', 'B bob Online').or(ada.find('link', 'bob Online')).first().click();
    await writes(ada, 'bob', 'hello <b>Bob</b> <img src=x onerror=alert(1)>');
    await shows(ada, 'hello <b>Bob</b> <img src=x onerror=alert(1)>', 'delivered');
    await bob.until('a badge', () => document.querySelector('.row .badge')?.textContent.startsWith('1'));
    assert.match(await bob.runs(() => document.title), /^\(1\) /);
    await opens(bob, 'ada');
    await shows(bob, 'hello <b>Bob</b> <img src=x onerror=alert(1)>');
    await shows(ada, 'hello <b>Bob</b> <img src=x onerror=alert(1)>', 'read');
    await writes(bob, 'ada', 'hi Ada');
    await shows(ada, 'hi Ada');
    await shows(bob, 'hi Ada', 'read');
    assert.deepEqual(await texts(bob), ['hello <b>Bob</b> <img src=x onerror=alert(1)>', 'hi Ada']);
    // A server without the list of logins has no such card.
    await ada.runs(() => (location.hash = '#/settings'));
    await ada.until('which connector it uses', (name) => document.body.innerText.includes(`Connected over ${name}`), connector);
    // A reload goes on with the login and the conversation.
    await bob.reloads();
    await isIn(bob);
    await shows(bob, 'hi Ada', 'read');
    assert.deepEqual(await texts(bob), ['hello <b>Bob</b> <img src=x onerror=alert(1)>', 'hi Ada']);

    // Another device changes the password: this login ends, and what is written here waits for the next one.
    bob.mayComplain(/status of 40[01]/, /WebSocket/);
    const login = await server.request('POST', '/api/auth/login', { username: 'bob', password: 'correct horse' });
    const headers = { authorization: `Bearer ${login.body.token}` };
    const change = { currentPassword: 'correct horse', password: 'another horse' };
    assert.equal((await server.request('PATCH', '/api/users/bob', change, headers)).status, 200);
    await bob.until('the way in', () => document.querySelector('.welcome .notice')?.textContent.includes('has ended'));
    await signsIn(bob, { username: 'bob', password: 'another horse' });
    await opens(bob, 'ada');
    await shows(bob, 'hi Ada', 'read');
  });
}

// The page of the link that makes the first admin.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, Server, freePort, until } from './harness.mjs';

const browser = await Browser.start();

test('the link makes the first admin, and its secret leaves the address', async (t) => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const settings = { SERVER__PUBLIC_URL: url, TELEMETRY__METRICS: 'off' };
  const server = await Server.start({ t, port, mode: 'production', settings });
  const link = await until('the link', () => /http:\S+\/first-admin#[0-9a-f]{64}/.exec(server.output)?.[0]);
  assert.ok(link.startsWith(`${url}/`), link);
  const profile = await browser.profile(t);

  const tab = await profile.opens(link);
  assert.equal(await tab.runs(() => location.href), `${url}/first-admin`);
  const fills = (username, password) =>
    tab.runs(({ username, password }) => {
      document.querySelector('[name=username]').value = username;
      document.querySelector('[name=password]').value = password;
      document.querySelector('button').click();
    }, { username, password });
  tab.mayComplain(/status of 400/);
  await fills('a : b', 'correct horse');
  await tab.until('what is wrong', () => document.querySelector('#told').textContent.includes('username'));
  await fills('ada', 'correct horse');
  await tab.until('the account', () => !document.querySelector('#done').hidden);
  const login = await server.request('POST', '/api/auth/login', { username: 'ada', password: 'correct horse' });
  assert.equal(login.status, 200);

  const again = await profile.opens(link);
  again.mayComplain(/status of 403/);
  await again.runs(() => {
    document.querySelector('[name=username]').value = 'eve';
    document.querySelector('[name=password]').value = 'correct horse';
    document.querySelector('button').click();
  });
  await again.until('the refusal', () => document.querySelector('#told').textContent.startsWith('This link is used'));
});

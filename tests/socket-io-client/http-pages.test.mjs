// What the server says about itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server } from './harness.mjs';

const server = await Server.start();

test('the API is described by itself, and the description covers it', async () => {
  const { status, body } = await server.request('GET', '/openapi.json');
  assert.equal(status, 200);
  assert.match(body.openapi, /^3\./);
  for (const path of [
    '/api/users', '/api/auth/login', '/api/auth/refresh', '/api/auth/logout', '/api/auth/session',
    '/api/rooms', '/api/rooms/mine', '/healthz', '/readyz',
  ]) {
    assert.ok(body.paths[path], `${path} is missing`);
  }
  const { text } = await server.request('GET', '/openapi.json');
  assert.doesNotMatch(text, /password_hash|passwordHash/);
});

test('there is a page to read it, which needs nothing from elsewhere', async () => {
  let page = await server.request('GET', '/docs');
  if (page.status >= 300 && page.status < 400) page = await server.request('GET', new URL(page.headers.get('location'), `${server.url}/docs`).pathname);
  assert.equal(page.status, 200);
  assert.match(page.headers.get('content-type'), /^text\/html/);
  assert.doesNotMatch(page.text, /(src|href)="(https?:)?\/\//);
});

test('there are metrics for Prometheus, without names or secrets', async () => {
  const ada = await server.person('ada');
  const phone = await ada.connect();
  await phone.tells(ada, 'count me');
  const { status, text } = await server.request('GET', '/metrics');
  assert.equal(status, 200);
  assert.match(text, /^# TYPE \S+ (counter|gauge|histogram|summary)$/m);
  assert.doesNotMatch(text, new RegExp(`${ada.username}|${ada.id}|count me`));
});

test('every answer has an id to ask about', async () => {
  const { headers } = await server.request('GET', '/healthz');
  assert.ok(headers.get('x-request-id'));
});

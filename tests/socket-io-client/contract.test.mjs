// The check that every other test makes: it sees what the contract does not have.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server } from './harness.mjs';
import { checkAnswer, checkEvent, checkFrame, checkHttp, takeMistakes } from './harness/contract.mjs';

const server = await Server.start();

test('what the contract does not have is seen, in an event, an answer, a frame and over HTTP', async () => {
  const [ada, bob] = await server.people('ada', 'bob');
  const socket = await ada.connect();
  const message = await socket.tells(bob, 'hi');
  const { response } = await socket.sees('response');
  const { body: user } = await ada.request('GET', `/api/users/${bob.username}`);
  const json = { headers: new Headers({ 'content-type': 'application/json' }) };
  assert.deepEqual(takeMistakes(), [], 'what the server sent is in the contract');

  const { seq, ...without } = message;
  const failure = { success: false, error: { code: 'nope', message: 'No.' } };
  const frames = new Map([['1', 'privateMessage']]);
  for (const check of [
    () => checkEvent('/chat', 'response', [{ response: { ...response, more: 1 } }]),
    () => checkEvent('/chat', 'response', [{ response: { ...response, seq: '1' } }]),
    () => checkEvent('/chat', 'response', [{ response: { ...response, kind: 'shout' } }]),
    () => checkEvent('/chat', 'response', [{ response: { ...response, content: 5 } }]),
    () => checkEvent('/chat', 'response', [{ response }, 'more']),
    () => checkEvent('/chat', 'shout', [{}]),
    () => checkEvent('/', 'new user', [{ username: 'ada' }]),
    () => checkAnswer('/chat', 'privateMessage', [{ success: true, response: without }]),
    () => checkAnswer('/chat', 'privateMessage', [failure]),
    () => checkAnswer('/chat', 'privateMessage', []),
    () => checkAnswer('/chat', 'no such event', [{ success: true, response: null }]),
    () => checkAnswer('/', 'get:rooms', [[{ id: message.roomId }]]),
    () => checkFrame({ reply: 1, data: { success: true, response: without } }, frames),
    () => checkFrame({ event: 'lobby', data: { response: without } }, frames),
    () => checkHttp('GET', '/api/users/bob', { status: 200, body: { ...user, passwordHash: 'x' }, ...json }),
    () => checkHttp('GET', '/api/users/bob', { status: 206, body: user, ...json }),
    () => checkHttp('GET', '/nowhere', { status: 404, body: { code: 'not_found' }, headers: new Headers({ 'content-type': 'application/problem+json' }) }),
  ]) {
    check();
    assert.equal(takeMistakes().length, 1, String(check));
  }
  checkAnswer('/chat', 'privateMessage', [{ success: true, response: { ...without, seq } }]);
  checkFrame({ reply: 1, data: { success: true, response: message } }, frames);
  checkHttp('GET', '/api/users/bob', { status: 200, body: user, ...json });
  assert.deepEqual(takeMistakes(), []);
});

// The real server, the real client, and the words in which the tests are written.
//
//   const server = await Server.start();
//   test('a private message reaches its receiver', async () => {
//     const [ada, bob] = await server.people('ada', 'bob');
//     const [phone, laptop] = await Promise.all([ada.connect(), bob.connect()]);
//     const sent = await phone.tells(bob, 'hi');
//     const seen = await laptop.seesMessage('hi');
//     assert.equal(seen.messageId, sent.messageId);
//   });

export { Server } from './harness/server.mjs';
export { Person } from './harness/person.mjs';
export { Connection } from './harness/connection.mjs';
export { Chat, Page } from './harness/websocket.mjs';
export { Line } from './harness/line.mjs';
export { DevProxy } from './harness/dev-proxy.mjs';
export { decoded, forged, tampered } from './harness/token.mjs';
export { assertError, assertGroup, assertMessage, assertProblem, assertUser } from './harness/shapes.mjs';
export { LIMIT, brief, freePort, seqsTo, sleep, until } from './harness/waiting.mjs';

// The real server, a real browser, and the words in which the tests are written.
//
//   const site = await Site.start();
//   const server = await Server.start({ settings: settingsFor(site) });
//   const browser = await Browser.start();
//   test('a message reaches a page', async (t) => {
//     const [ada, bob] = await server.people('ada', 'bob');
//     const tab = await (await browser.profile(t)).opens(await site.shows('chat.html', { server: server.url }));
//     await tab.runs(({ username, password }) => chat.signsIn(username, password), ada);
//     await (await bob.connect()).tells(ada, 'hi');
//     await tab.until('the message', () => chat.seen.some(({ content }) => content === 'hi'));
//   });

export { LIMIT, Line, Server, decoded, freePort, seqsTo, until } from '../socket-io-client/harness.mjs';
export { connectionsAt, isLacking, twoNodes } from '../socket-io-client/harness/two-nodes.mjs';
export { LOOKS, axe, isAccessible } from './harness/accessible.mjs';
export { Browser } from './harness/browser.mjs';
export { Site, page } from './harness/site.mjs';
export { settingsFor } from './harness/settings.mjs';
export { chooses, hasStockClient, isIn, opens, opensMenu, shows, signsIn, signsInInGerman, signsUp, texts, webServer, writes } from './harness/web.mjs';

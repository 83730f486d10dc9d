// Where a conversation begins to be read, whatever comes first: its messages, or the page of its history.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, opens, shows, signsIn, webServer } from './harness.mjs';

const browser = await Browser.start();

/** Holds back what the page is sent, from its next connection on: `held.lets(pattern)` hands out what matches. */
const holdsBack = (tab) =>
  tab.runs(() => {
    window.held = {
      frames: [],
      patterns: [/"event":"response"/, /\["response"/, /"hasMore":/],
      lets(pattern, most = Infinity) {
        if (most === Infinity) this.patterns = this.patterns.filter((each) => !each.source.includes(pattern));
        const free = this.frames.filter(({ data }) => data.includes(`"${pattern}"`)).slice(0, most);
        this.frames = this.frames.filter((frame) => !free.includes(frame));
        for (const { socket, data } of free) socket.dispatchEvent(new MessageEvent('message', { data }));
      },
    };
    window.WebSocket = class extends WebSocket {
      constructor(...parameters) {
        super(...parameters);
        this.addEventListener('message', (event) => {
          if (!event.isTrusted || typeof event.data !== 'string' || !held.patterns.some((each) => each.test(event.data))) return;
          event.stopImmediatePropagation();
          held.frames.push({ socket: this, data: event.data });
        });
      }
    };
  });

test('missed messages that come after the conversation was opened leave the view at the first of them', async (t) => {
  const profile = await browser.profile(t);
  const server = await webServer({ t });
  const [ada, bob] = await server.people('ada', 'bob');
  const phone = await bob.connect();
  for (let n = 1; n <= 300; n += 1) await phone.tells(ada, `line ${n}`);
  const tab = await profile.opens(server.url);
  await holdsBack(tab);
  await signsIn(tab, ada);
  await tab.until('all of them', () => document.querySelector('.row .badge')?.textContent.startsWith('300'));
  await tab.until('what is held back', () => held.frames.length >= 300);
  await opens(tab, bob.username);
  await tab.until('the request for its history', () => held.frames.some(({ data }) => data.includes('"hasMore":')));
  // First only what fits in the view: it is at its end then.
  await tab.runs(() => held.lets('response', 2));
  await tab.until('the first ones', () => document.querySelectorAll('.message').length === 2);
  await tab.runs(() => held.lets('response'));
  await tab.until('all of them', () => document.querySelector('.message')?.ariaSetSize === '302');
  await tab.runs(() => held.lets('hasMore'));
  const isAtFirst = () =>
    tab.until('the line above the first unread message, in the view', () => {
      const [line, room] = [document.querySelector('.separator.new'), document.querySelector('.timeline')].map((element) => element?.getBoundingClientRect());
      const next = document.querySelector('.separator.new + .message .message-text');
      return line && line.top >= room.top && line.bottom < room.bottom && next?.textContent === 'line 1';
    });
  await isAtFirst();
  // More of them leave it there, and nothing counts as read that was not shown.
  await phone.tells(ada, 'line 301');
  await tab.until('what is unread', () => document.querySelector('.jump .badge')?.textContent === '301');
  await isAtFirst();
  const { response } = await (await ada.connect()).asks('listRooms', {});
  assert.deepEqual([response[0].read, response[0].unread], [0, 301]);
  await tab.runs(() => document.querySelector('.jump').click());
  await shows(tab, 'line 301');
  await tab.until('that all is read', () => !document.querySelector('.row .badge'));
});

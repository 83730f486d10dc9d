// A thread beside its room: its root, its replies, and a field to write one. And the list of all threads of a room.

import { address, ask } from '../connection.js';
import { history } from '../heard.js';
import { t } from '../i18n/index.js';
import { meetUnknown } from '../people.js';
import { nameOf, on, placeOf, state } from '../store.js';
import { markThreadRead } from '../threads.js';
import { personAvatar } from './avatar.js';
import { composer } from './composer.js';
import { brief } from './dates.js';
import { fill, h } from './dom.js';
import { dialog, sentence, skeleton } from './forms.js';
import { itemsOf, renderItem } from './items.js';
import { textOf } from './status.js';

/** @import { Message } from '../types.js' */

/** How many messages of a thread are asked for at a time. */
const PAGE = 200;

/** @param {string} key @param {string} root its messageId */
export function thread(key, root) {
  const gone = new AbortController();
  const { signal } = gone;
  const list = h('ol', { class: 'messages' }, skeleton(3));
  const scroller = h('div', { class: 'timeline', role: 'log', 'aria-live': 'polite', 'aria-label': t('thread'), tabindex: '0' }, list);
  const write = composer(key, signal, toEnd, root);
  const box = dialog(t('thread'), () => [scroller, write.element]);
  box.classList.add('sheet');
  state.threads.set(root, []);
  box.addEventListener('close', () => {
    gone.abort();
    state.threads.delete(root);
  });
  /** @type {Map<string, { version: string, element: HTMLElement }>} */
  let shown = new Map();
  let readTo = 0;
  on([`timeline ${key}`, 'people'], show, signal);
  scroller.addEventListener('edit', (event) => write.edit(/** @type {CustomEvent} */ (event).detail));
  scroller.addEventListener('reply', (event) => write.reply(/** @type {CustomEvent} */ (event).detail));
  scroller.addEventListener('problem', (event) => write.fail(/** @type {CustomEvent} */ (event).detail));
  scroller.addEventListener('jump', (event) => list.querySelector(`[data-seq="${/** @type {CustomEvent} */ (event).detail}"]`)?.scrollIntoView({ block: 'center' }));
  document.addEventListener('visibilitychange', read, { signal });
  addEventListener('hashchange', () => box.close(), { signal });
  show();
  void load();
  write.focus();

  function messages() {
    /** @type {Map<number, Message>} */
    const all = new Map(state.threads.get(root)?.map((message) => [message.seq, message]));
    for (const message of state.timelines.get(key)?.messages ?? []) if (message.messageId === root || message.thread === root) all.set(message.seq, message);
    return [...all.values()].sort((a, b) => a.seq - b.seq);
  }

  async function load() {
    try {
      /** @type {Message[]} */
      let all = [];
      for (let hasMore = true; hasMore && !signal.aborted; ) {
        const before = all[1]?.seq;
        const page = await history({ ...address(key), thread: root, limit: PAGE, ...(before && { before }) });
        hasMore = page.hasMore && page.messages.length > 1;
        all = [...page.messages, ...all].sort((a, b) => a.seq - b.seq);
        if (!signal.aborted) state.threads.set(root, all);
        meetUnknown(page.messages.map(({ sender }) => sender));
      }
      show();
    } catch (error) {
      if (messages().length === 0) write.fail(sentence(error));
    }
  }

  function show() {
    const all = messages();
    if (all.length === 0 || signal.aborted) return;
    const isAtEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60;
    const items = itemsOf(placeOf(key), { messages: all }, Infinity, root);
    const now = new Map(items.map((item) => [item.key, shown.get(item.key)?.version === item.version ? /** @type {{ version: string, element: HTMLElement }} */ (shown.get(item.key)) : { version: item.version, element: renderItem(item) }]));
    const isSame = now.size === shown.size && [...now].every(([name, entry]) => shown.get(name) === entry);
    shown = now;
    if (!isSame) fill(list, [...now.values()].map(({ element }) => element));
    if (isAtEnd) toEnd();
    read();
  }

  function toEnd() {
    scroller.scrollTop = scroller.scrollHeight;
  }

  function read() {
    const last = messages().at(-1)?.seq ?? 0;
    if (document.hidden || last <= readTo) return;
    readTo = last;
    markThreadRead(key, root, last).catch(() => (readTo = 0));
  }
}

/** The threads of a room, those with the newest reply first. @param {string} key */
export function threadList(key) {
  const body = h('div', null, skeleton(3));
  const box = dialog(t('threads'), () => [body]);
  void load();

  async function load() {
    try {
      /** @type {{ threads: { root: Message, unread: number }[] }} */
      const { threads } = await ask('threads', { ...address(key), limit: 100 });
      meetUnknown(threads.map(({ root }) => root.sender));
      if (threads.length === 0) return fill(body, h('p', { class: 'quiet' }, t('noThreads')));
      fill(body, h('ul', { class: 'rows plain' }, threads.map(row)));
    } catch (error) {
      fill(body, h('p', { class: 'form-error', role: 'alert' }, sentence(error)));
    }
  }

  /** @param {{ root: Message, unread: number }} thread */
  function row({ root, unread }) {
    const name = nameOf(root.sender);
    const at = new Date(root.timestamp);
    const open = () => {
      box.close();
      thread(key, root.messageId);
    };
    return h(
      'li',
      null,
      h(
        'button',
        { type: 'button', class: 'row', onclick: open },
        personAvatar(root.sender, name, { size: 'small' }),
        h(
          'span',
          { class: 'row-text' },
          h('span', { class: 'row-line' }, h('span', { class: 'row-title', dir: 'auto' }, textOf(root)), h('time', { class: 'row-time', datetime: at.toISOString() }, brief(at))),
          h('span', { class: 'row-line' }, h('span', { class: 'row-last' }, `${name} · ${t('replies', { count: root.replies?.count ?? 0 })}`), unread > 0 && h('span', { class: 'badge' }, unread, h('span', { class: 'unseen' }, ` ${t('unread')}`))),
        ),
      ),
    );
  }
}

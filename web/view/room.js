// One conversation: who it is with, what was said, and a field to write.

import { t } from '../i18n/index.js';
import { find } from '../people.js';
import { nameOf, on, placeOf, state } from '../store.js';
import * as sync from '../sync.js';
import * as timeline from '../timeline.js';
import { avatar, personAvatar } from './avatar.js';
import { composer } from './composer.js';
import { presence } from './dates.js';
import { fill, h, icon, iconButton, say } from './dom.js';
import { empty, skeleton } from './forms.js';
import { itemsOf, renderItem } from './items.js';
import { titleOf } from './names.js';
import { opensMenus } from './press.js';
import { VirtualList } from './virtual.js';

/** @import { Item } from './items.js' */

/** @param {HTMLElement} main @param {string} key @param {AbortSignal} signal */
export function room(main, key, signal) {
  const isGroup = key.startsWith('g:');
  const peer = key.startsWith('u:') ? key.slice(2) : '';
  if (peer && !state.people.has(peer)) void find(peer);
  /** Where the unread messages begin when the conversation is opened; nothing until that is known. */
  let readBefore = 0;
  let wasMarked = placeOf(key).markedUnread ?? false;
  const picture = h('span', null);
  const title = h('h1', { dir: 'auto' });
  const subtitle = h('p', { class: 'room-subtitle' });
  const list = h('ol', { class: 'messages' });
  const note = h('div', { class: 'timeline-note' });
  const scroller = h('div', { class: 'timeline', role: 'log', 'aria-live': 'off', 'aria-label': t('messages'), tabindex: '0' }, note, list);
  const jump = h('button', { type: 'button', class: 'jump', hidden: true, 'aria-label': t('toEnd'), onclick: () => virtual.scrollToEnd() }, icon('down'), h('span', { class: 'badge' }));
  const typing = h('p', { class: 'typing-line', 'aria-live': 'polite' });
  const about = iconButton('info', t(isGroup ? 'groupDetails' : 'conversationDetails'), async () =>
    isGroup ? (await import('./details.js')).details(key) : (await import('./pinned.js')).aboutConversation(key),
  );
  const threads = key !== 'lobby' && iconButton('thread', t('threads'), async () => (await import('./thread.js')).threadList(key));
  const write = composer(key, signal, () => virtual.scrollToEnd());
  fill(
    main,
    h('header', { class: 'room-head' }, h('a', { class: 'icon-button back', href: '#/', 'aria-label': t('back') }, icon('back')), picture, h('div', { class: 'room-title' }, title, subtitle), threads, about),
    h('div', { class: 'timeline-frame' }, scroller, jump),
    typing,
    write.element,
  );

  const virtual = new VirtualList({
    scroller,
    list,
    sticks: true,
    key: (/** @type {Item} */ item) => item.key,
    version: (item) => item.version,
    render: renderItem,
    estimate: (item) => item.height,
  });
  opensMenus(list);
  write.focus();
  let isPositioned = false;
  let knowsMembers = !isGroup;
  /** @type {Item[]} */
  let items = [];
  const shown = timeline.open(key);
  head();
  show();
  on(['places', 'people', 'members', 'status'], head, signal);
  on([`timeline ${key}`, 'people'], show, signal);
  on([`typing ${key}`], types, signal);
  scroller.addEventListener('scroll', scrolled, { passive: true });
  scroller.addEventListener('edit', (event) => write.edit(/** @type {CustomEvent} */ (event).detail));
  scroller.addEventListener('reply', (event) => write.reply(/** @type {CustomEvent} */ (event).detail));
  scroller.addEventListener('thread', async (event) => (await import('./thread.js')).thread(key, /** @type {CustomEvent} */ (event).detail));
  scroller.addEventListener('jump', (event) => void jumpTo(/** @type {CustomEvent} */ (event).detail));
  scroller.addEventListener('problem', (event) => write.fail(/** @type {CustomEvent} */ (event).detail));
  document.addEventListener('visibilitychange', read, { signal });
  addEventListener('focus', read, { signal });
  signal.addEventListener('abort', () => virtual.destroy());
  types();

  function head() {
    const place = placeOf(key);
    const name = titleOf(key);
    say(title, name);
    fill(picture, peer ? personAvatar(peer, name) : avatar(key, name, { kind: isGroup ? 'group' : 'lobby' }));
    const user = state.people.get(peer);
    const told = isGroup ? (place.group ? t('members', { count: place.group.memberCount }) : '') : peer === state.me.username ? t('notes') : peer ? presence(user) : t('lobbyText');
    say(subtitle, told);
    subtitle.classList.toggle('online', Boolean(user?.isOnline && peer !== state.me.username));
    const isGone = isGroup && !state.places.has(key) && state.isListed;
    write.element.hidden = isGone;
    if (isGone) fill(note, empty(icon('lock'), t('notAMember'), t('notAMemberText'), h('a', { class: 'button', href: '#/groups' }, t('findGroups'))));
  }

  function show() {
    const place = placeOf(key);
    if (!readBefore && (place.unread > 0 || state.isListed)) readBefore = place.unread > 0 ? Math.max(place.read, 0.5) : Infinity;
    items = itemsOf(place, shown, readBefore || Infinity);
    virtual.set(items);
    // Whom a text mentions is known with the names.
    if (!knowsMembers && shown.messages.some(({ kind, content }) => kind === 'text' && content.includes('@'))) {
      knowsMembers = true;
      void import('./details.js').then(({ membersOf }) => membersOf(key)).catch(() => {});
    }
    const isEmpty = items.length === 0;
    const isGone = isGroup && !state.places.has(key) && state.isListed;
    if (!isGone) {
      if (isEmpty && shown.failed && shown.hasOlder === false) fill(note, empty(icon('warning'), t('notFound'), t('noPersonText')));
      else if (isEmpty && shown.isFresh) fill(note, shown.failed || state.status !== 'online' ? h('p', { class: 'list-note' }, t('notHere')) : skeleton(5));
      else if (isEmpty) fill(note, empty(peer ? personAvatar(peer, titleOf(key), { size: 'large' }) : icon('chats'), t('sayHello', { name: titleOf(key) }), t('sayHelloText')));
      else fill(note, shown.hasOlder ? h('p', { class: 'list-note' }, shown.loading ? t('loading') : '') : h('p', { class: 'list-note beginning' }, t('beginning')));
    }
    if (!isEmpty && !isPositioned) {
      isPositioned = true;
      if (items.some((item) => item.key === 'new')) virtual.scrollTo('new');
      else virtual.scrollToEnd();
    }
    scrolled();
  }

  /** Shows a message, and says with colour and focus which one it is. @param {number} seq */
  async function jumpTo(seq) {
    const isThere = await timeline.reach(key, seq);
    if (signal.aborted) return;
    if (!isThere) return write.fail(t(shown.failed ? 'unreachable' : 'quoteGone'));
    show();
    virtual.scrollTo(items.find((item) => item.shown?.message?.seq === seq)?.key ?? '');
    const element = /** @type {HTMLElement | null} */ (list.querySelector(`[data-seq="${seq}"]`));
    element?.classList.add('found');
    element?.setAttribute('tabindex', '-1');
    element?.focus({ preventScroll: true });
    setTimeout(() => element?.classList.remove('found'), 2000);
  }

  function scrolled() {
    jump.hidden = virtual.isAtEnd;
    const { unread } = placeOf(key);
    const badge = /** @type {Element} */ (jump.lastElementChild);
    say(badge, unread > 0 ? String(unread) : '');
    if (scroller.scrollTop < 600 && shown.messages.length > 0 && shown.hasOlder) void timeline.older(key);
    read();
  }

  /** What is still on its way here nobody has read. */
  function read() {
    if (!isPositioned || shown.loading) return;
    if (!virtual.isAtEnd || document.hidden || !document.hasFocus()) return;
    sync.markRead(key, wasMarked);
    wasMarked = false;
  }

  function types() {
    const names = [...(state.typing.get(key)?.keys() ?? [])].map(nameOf);
    say(typing, names.length === 0 ? '' : names.length === 1 ? t('isTyping', { name: names[0] }) : t('areTyping', { count: names.length }));
  }
}

// The frame of somebody who is signed in: the sidebar with its lists, and the page of the address beside it.

import { t } from '../i18n/index.js';
import * as connection from '../connection.js';
import { changed, conversations, nameOf, on, state } from '../store.js';
import { isMuted } from '../room-settings.js';
import * as sync from '../sync.js';
import { whenNew } from '../inbox.js';
import { chats } from './chats.js';
import { fill, h, icon, iconButton, say } from './dom.js';
import { empty, skeleton } from './forms.js';
import { logo } from './logo.js';
import { titleOf } from './names.js';
import { avatar } from './avatar.js';
import { textOf } from './status.js';

/** A connection that is lost for less is not worth a word. */
const PATIENCE = 1500;

const TABS = /** @type {const} */ ([
  ['chats', '#/', 'chats'],
  ['people', '#/people', 'people'],
  ['groups', '#/groups', 'groups'],
]);

/** @param {HTMLElement} root @param {AbortSignal} signal @param {(everywhere: boolean) => Promise<void>} leave */
export function shell(root, signal, leave) {
  const status = h('p', { class: 'status', role: 'status' });
  const announcer = h('p', { class: 'unseen', role: 'status' });
  const tabs = h('nav', { class: 'tabs', 'aria-label': t('views') });
  const list = h('div', { class: 'sidebar-list' });
  const heading = h('h1', null);
  const self = h('a', { class: 'self', href: '#/settings', title: t('settings') });
  const pane = h('section', { class: 'pane', id: 'pane', 'aria-label': t('conversation') });
  const sidebar = h(
    'section',
    { class: 'sidebar', 'aria-label': t('lists') },
    h('header', { class: 'sidebar-head' }, heading, iconButton('plus', t('newGroup'), async () => (await import('./groups.js')).newGroup()), self),
    status,
    list,
    tabs,
  );
  const frame = h('main', { class: 'app' }, sidebar, pane);
  fill(root, h('a', { class: 'skip', href: '#pane', onclick: skip }, t('skip')), frame, announcer);

  /** @type {AbortController | null} */
  let page = null;
  /** @type {AbortController | null} */
  let shownList = null;
  let listName = '';
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let waiting;

  /** @param {Event} event */
  function skip(event) {
    event.preventDefault();
    /** @type {HTMLElement | null} */ (pane.querySelector('textarea, a, button, input'))?.focus();
  }

  function navigate() {
    const [first = '', second = ''] = location.hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);
    page?.abort();
    page = new AbortController();
    state.open = { u: `u:${second}`, g: `g:${second}`, lobby: 'lobby' }[first] ?? '';
    const isList = !state.open && first !== 'settings';
    frame.dataset.page = isList ? 'list' : 'main';
    if (isList) showList(first === 'people' || first === 'groups' ? first : 'chats');
    else if (!listName) showList('chats');
    if (state.open) void showRoom(state.open, page.signal);
    else if (first === 'settings') void showSettings(page.signal);
    else fill(pane, empty(logo(), t('welcome', { name: nameOf(state.me.username) }), t('welcomeText')));
    changed('places');
    title();
  }

  /** @param {string} key @param {AbortSignal} open */
  async function showRoom(key, open) {
    const { room } = await import('./room.js');
    if (!open.aborted) room(pane, key, open);
  }

  /** @param {AbortSignal} open */
  async function showSettings(open) {
    const { settings } = await import('./settings.js');
    if (!open.aborted) settings(pane, open, leave);
  }

  /** @param {'chats' | 'people' | 'groups'} name */
  function showList(name) {
    if (name === listName) return;
    listName = name;
    shownList?.abort();
    shownList = new AbortController();
    heading.textContent = t(name);
    void fillList(name, shownList.signal);
    fill(
      tabs,
      TABS.map(([tab, href, picture]) =>
        h('a', { href, class: 'tab', 'aria-current': tab === name ? 'page' : false }, icon(picture), h('span', null, t(tab)), h('span', { class: 'tab-badge', 'data-tab': tab })),
      ),
    );
    title();
  }

  /** @param {'chats' | 'people' | 'groups'} name @param {AbortSignal} open */
  async function fillList(name, open) {
    if (name === 'chats') return chats(list, open);
    fill(list, skeleton(8));
    const { people } = await import('./people.js');
    const { groups } = await import('./groups.js');
    if (!open.aborted) (name === 'people' ? people : groups)(list, open);
  }

  function title() {
    const unread = conversations().reduce((sum, place) => sum + (isMuted(place) || place.archived ? 0 : place.unread), 0);
    const badge = tabs.querySelector('[data-tab=chats]');
    if (badge) badge.textContent = unread > 0 ? String(unread) : '';
    const name = state.open ? `${titleOf(state.open)} · Parlor` : 'Parlor';
    document.title = unread > 0 ? `(${unread}) ${name}` : name;
  }

  function me() {
    fill(self, avatar(state.me.username, nameOf(state.me.username), { size: 'small' }), h('span', { class: 'unseen' }, t('settings')));
  }

  function connected() {
    clearTimeout(waiting);
    frame.dataset.status = state.status;
    if (state.status === 'online') return fill(status);
    if (state.status === 'displaced') {
      return fill(status, t('displaced'), ' ', h('button', { class: 'link', onclick: () => sync.useHere() }, t('useHere')));
    }
    waiting = setTimeout(() => say(status, t(navigator.onLine ? 'reconnecting' : 'offline')), PATIENCE);
  }

  whenNew((place, message) => {
    if (document.hidden || place.key !== state.open) return;
    announcer.textContent = `${nameOf(message.sender)}: ${textOf(message)}`;
  });
  addEventListener('hashchange', navigate, { signal });
  addEventListener('online', () => connection.check(), { signal });
  document.addEventListener('visibilitychange', () => !document.hidden && connection.check(), { signal });
  addEventListener('keydown', shortcut, { signal });
  on('status', connected, signal);
  on(['places', 'people'], title, signal);
  on(['me', 'people'], me, signal);
  signal.addEventListener('abort', () => {
    page?.abort();
    shownList?.abort();
    clearTimeout(waiting);
  });
  me();
  connected();
  navigate();
  // The first conversation opens at once, without the server, too.
  void import('./room.js').catch(() => {});

  /** @param {KeyboardEvent} event */
  function shortcut(event) {
    if (document.querySelector('dialog[open]')) return;
    if ((event.ctrlKey || event.metaKey) && event.key === 'k') {
      event.preventDefault();
      location.hash = '#/';
      /** @type {HTMLElement | null} */ (list.querySelector('input[type=search]'))?.focus();
    }
    if (event.key === 'Escape' && state.open) location.hash = '#/';
  }
}

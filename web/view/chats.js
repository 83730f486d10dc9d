// The list of conversations, and the search for people and groups above it.

import { t } from '../i18n/index.js';
import { call } from '../session.js';
import { conversations, nameOf, on, state } from '../store.js';
import { meetAll } from '../people.js';
import { isMuted } from '../room-settings.js';
import { avatar, personAvatar } from './avatar.js';
import { brief } from './dates.js';
import { fill, h, icon, say } from './dom.js';
import { empty, sentence, skeleton } from './forms.js';
import { statusOf, textOf, tick } from './status.js';
import { hrefOf, titleOf } from './names.js';
import { VirtualList } from './virtual.js';

/** @import { Group, Place, User } from '../types.js' */

/** How long after the last key a search begins. */
const PAUSE = 200;

/** A field for a search. @param {string} label @param {(text: string) => void} found */
export function searchField(label, found) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const oninput = () => {
    clearTimeout(timer);
    timer = setTimeout(() => found(input.value.trim()), PAUSE);
  };
  const input = h('input', { type: 'search', 'aria-label': label, placeholder: label, autocomplete: 'off', oninput });
  return h('div', { class: 'search', role: 'search' }, icon('search'), input);
}

/** Moves the focus between rows by the arrow keys. @param {HTMLElement} list */
export function arrows(list) {
  list.addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const rows = [.../** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll('a.row, button.row'))];
    const next = rows[rows.indexOf(/** @type {HTMLElement} */ (document.activeElement)) + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}

/** @param {HTMLElement} root @param {AbortSignal} signal */
export function chats(root, signal) {
  const list = h('ul', { class: 'rows' });
  const results = h('div', { class: 'results', hidden: true });
  const nothing = h('div', { hidden: true });
  const archive = h('button', { type: 'button', class: 'row archive', onclick: toggle });
  let showsArchive = false;
  const scroller = h('div', { class: 'scroller', tabindex: '-1' }, list, nothing, archive, results);
  let query = '';
  const virtual = new VirtualList({
    scroller,
    list,
    key: (/** @type {Place} */ place) => place.key,
    version,
    render: row,
    estimate: () => 72,
  });
  fill(root, searchField(t('searchAll'), search), scroller);
  arrows(scroller);
  on(['places', 'people'], show, signal);
  signal.addEventListener('abort', () => virtual.destroy());
  show();

  function show() {
    const all = conversations();
    const archived = all.filter((place) => place.archived);
    const places = showsArchive ? [...all.filter((place) => !place.archived), ...archived] : all.filter((place) => !place.archived);
    archive.hidden = Boolean(query) || archived.length === 0;
    archive.setAttribute('aria-expanded', String(showsArchive));
    say(archive, t('archived', { count: archived.length }));
    const isKnown = state.isListed || all.length > 1;
    list.hidden = Boolean(query) || !isKnown;
    results.hidden = !query;
    nothing.hidden = Boolean(query) || (isKnown && all.length > 1);
    if (!nothing.hidden) fill(nothing, isKnown ? empty(icon('chats'), t('noChats'), t('noChatsText'), h('a', { class: 'button', href: '#/people' }, t('findPeople'))) : skeleton(6));
    if (!list.hidden) virtual.set(places);
  }

  function toggle() {
    showsArchive = !showsArchive;
    show();
  }

  /** @param {string} text */
  async function search(text) {
    query = text;
    show();
    if (!text) return;
    const path = `?search=${encodeURIComponent(text)}&limit=20`;
    try {
      const [{ users }, { groups }] = await Promise.all([call('GET', `/api/users${path}`), call('GET', `/api/rooms${path}`)]);
      if (query !== text) return;
      meetAll(users);
      await found(users, groups);
    } catch (error) {
      fill(results, h('p', { class: 'list-note', role: 'alert' }, sentence(error)));
    }
  }

  /** @param {User[]} users @param {Group[]} groups */
  async function found(users, groups) {
    const [{ personRow }, { groupRow }] = await Promise.all([import('./people.js'), import('./groups.js')]);
    const some = users.length + groups.length > 0;
    fill(
      results,
      h('p', { class: 'unseen', role: 'status' }, t('found', { count: users.length + groups.length })),
      users.length > 0 && [h('h2', { class: 'list-head' }, t('people')), h('ul', { class: 'rows' }, users.map(personRow))],
      groups.length > 0 && [h('h2', { class: 'list-head' }, t('groups')), h('ul', { class: 'rows' }, groups.map(groupRow))],
      !some && empty(icon('search'), t('nothingFound'), t('nothingFoundText')),
    );
  }
}

/** @param {Place} place */
function version(place) {
  const { lastMessage, unread, unreadMentions = 0, unreadThreads = 0, group, markedUnread, archived, draft } = place;
  const waiting = state.unsent.filter((entry) => entry.key === place.key);
  const typing = [...(state.typing.get(place.key)?.keys() ?? [])];
  const peer = state.people.get(place.peer ?? '');
  const status = lastMessage && statusOf(place, lastMessage);
  return [lastMessage?.messageId, lastMessage?.change, lastMessage?.deletedAt, unread, unreadMentions, unreadThreads, markedUnread, archived, draft?.content, isMuted(place), status, group?.groupName, waiting.map(({ id, problem }) => id + (problem ? '!' : '')), typing, peer?.isOnline, titleOf(place.key), place.key === state.open, new Date().toDateString()].join();
}

/** @param {Place} place */
function row(place) {
  const title = titleOf(place.key);
  const unsent = state.unsent.findLast((entry) => entry.key === place.key);
  const { lastMessage: message, unread } = place;
  const at = unsent ? new Date(unsent.at) : message && new Date(message.timestamp);
  const picture = place.peer ? personAvatar(place.peer, title) : avatar(place.key, title, { kind: place.kind === 'lobby' ? 'lobby' : 'group' });
  const isTyping = (state.typing.get(place.key)?.size ?? 0) > 0;
  const isOwn = message?.sender === state.me.username;
  const who = message && !isOwn && place.kind !== 'direct' && message.kind !== 'system' ? `${nameOf(message.sender)}: ` : '';
  const last = unsent ? unsent.content : message ? who + textOf(message) : t(place.kind === 'lobby' ? 'lobbyText' : 'noMessages');
  const status = unsent ? (unsent.problem ? 'failed' : 'pending') : message && isOwn && place.kind !== 'lobby' && statusOf(place, message);
  return h(
    'li',
    null,
    h(
      'a',
      { class: 'row', href: hrefOf(place.key), 'aria-current': place.key === state.open ? 'page' : false },
      picture,
      h(
        'span',
        { class: 'row-text' },
        h('span', { class: 'row-line' }, h('span', { class: 'row-title', dir: 'auto' }, title), at && h('time', { class: 'row-time', datetime: at.toISOString() }, brief(at))),
        h(
          'span',
          { class: 'row-line' },
          isTyping ? h('span', { class: 'row-last typing' }, t('typing')) : place.draft && !unsent && place.key !== state.open ? h('span', { class: 'row-last', dir: 'auto' }, h('span', { class: 'draft' }, `${t('draft')} `), place.draft.content) : h('span', { class: 'row-last', dir: 'auto' }, status && tick(status), last),
          isMuted(place) && h('span', { class: 'row-lock' }, icon('mute'), h('span', { class: 'unseen' }, t('muted'))),
          Number(place.unreadThreads) > 0 && h('span', { class: 'badge threads' }, icon('thread'), h('span', { class: 'unseen' }, ` ${t('unreadThreads', { count: Number(place.unreadThreads) })}`)),
          Number(place.unreadMentions) > 0 && h('span', { class: 'badge mentioned' }, '@', h('span', { class: 'unseen' }, ` ${t('mentionsOfYou', { count: Number(place.unreadMentions) })}`)),
          unread > 0 && h('span', { class: isMuted(place) ? 'badge muted' : 'badge' }, unread > 999 ? '999+' : unread, h('span', { class: 'unseen' }, ` ${t('unread')}`)),
          unread === 0 && place.markedUnread && h('span', { class: 'badge' }, '•', h('span', { class: 'unseen' }, ` ${t('unread')}`)),
        ),
      ),
    ),
  );
}

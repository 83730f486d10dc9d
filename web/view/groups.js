// The public list of groups: the user's own, and those to join.

import { t } from '../i18n/index.js';
import { call } from '../session.js';
import { on, state } from '../store.js';
import { avatar } from './avatar.js';
import { arrows, searchField } from './chats.js';
import { fill, h, icon } from './dom.js';
import { empty, sentence, skeleton } from './forms.js';
import { hrefOf } from './names.js';
import { VirtualList } from './virtual.js';

/** @import { Group } from '../types.js' */

/** Asks for the name of a new group. */
export const newGroup = async () => (await import('./groups-dialogs.js')).newGroup();

/** @param {Group} group */
const join = async (group) => (await import('./groups-dialogs.js')).join(group);

/** @param {HTMLElement} root @param {AbortSignal} signal */
export function groups(root, signal) {
  const list = h('ul', { class: 'rows' });
  const note = h('div', { role: 'status' }, skeleton(5));
  const scroller = h('div', { class: 'scroller', tabindex: '-1' }, list, note);
  const virtual = new VirtualList({
    scroller,
    list,
    key: (/** @type {Group} */ group) => group.groupId,
    version: (group) => [group.groupName, group.memberCount, group.hasPassword, state.places.has(`g:${group.groupId}`), state.open].join(),
    render: groupRow,
    estimate: () => 64,
  });
  /** @type {Group[]} */
  let found = [];
  let query = '';
  /** @type {string | null} */
  let next = null;
  let isLoading = false;

  fill(root, searchField(t('searchGroups'), search), scroller);
  arrows(scroller);
  on('places', () => virtual.set(found), signal);
  on('groups', again, signal);
  on('status', () => state.status === 'online' && again(), signal);
  scroller.addEventListener('scroll', () => next && scroller.scrollHeight - scroller.scrollTop < 2 * scroller.clientHeight && load(), { passive: true });
  signal.addEventListener('abort', () => virtual.destroy());
  void load();

  /** @param {string} text */
  function search(text) {
    query = text;
    again();
  }

  function again() {
    next = null;
    void load(true);
  }

  /** @param {boolean} [anew] */
  async function load(anew) {
    const asked = query;
    if (isLoading) return;
    isLoading = true;
    try {
      const parameters = new URLSearchParams({ limit: '100', ...(asked && { search: asked }), ...(next && { after: next }) });
      const page = await call('GET', `/api/rooms?${parameters}`);
      found = anew ? page.groups : [...found, ...page.groups];
      next = page.next;
      virtual.set(found);
      const make = h('button', { class: 'button primary', onclick: newGroup }, t('newGroup'));
      fill(note, found.length === 0 && (asked ? empty(icon('search'), t('nothingFound'), t('nothingFoundText')) : empty(icon('groups'), t('noGroups'), t('noGroupsText'), make)));
    } catch (error) {
      if (found.length === 0) fill(note, h('p', { class: 'list-note' }, sentence(error)));
    }
    isLoading = false;
    if (asked !== query) again();
  }
}

/** @param {Group} group */
export function groupRow(group) {
  const key = `g:${group.groupId}`;
  const isMember = state.places.has(key);
  const row = [
    avatar(key, group.groupName, { kind: 'group' }),
    h(
      'span',
      { class: 'row-text' },
      h('span', { class: 'row-line' }, h('span', { class: 'row-title', dir: 'auto' }, group.groupName), group.hasPassword && h('span', { class: 'row-lock' }, icon('lock'), h('span', { class: 'unseen' }, t('withPassword')))),
      h('span', { class: 'row-line' }, h('span', { class: 'row-last' }, t('members', { count: group.memberCount })), isMember ? h('span', { class: 'row-note' }, t('joined')) : h('span', { class: 'pill' }, t('join'))),
    ),
  ];
  if (isMember) return h('li', null, h('a', { class: 'row', href: hrefOf(key), 'aria-current': key === state.open ? 'page' : false }, row));
  return h('li', null, h('button', { class: 'row', type: 'button', onclick: () => void join(group) }, row));
}

// Everybody with an account: who is online, when the others were.

import { t } from '../i18n/index.js';
import { meetAll } from '../people.js';
import { call } from '../session.js';
import { nameOf, on, state } from '../store.js';
import { personAvatar } from './avatar.js';
import { arrows, searchField } from './chats.js';
import { presence } from './dates.js';
import { fill, h, icon } from './dom.js';
import { empty, sentence, skeleton } from './forms.js';
import { hrefOf } from './names.js';
import { VirtualList } from './virtual.js';

/** @import { User } from '../types.js' */

/** @param {HTMLElement} root @param {AbortSignal} signal */
export function people(root, signal) {
  const list = h('ul', { class: 'rows' });
  const note = h('div', { role: 'status' }, skeleton(8));
  const scroller = h('div', { class: 'scroller', tabindex: '-1' }, list, note);
  const virtual = new VirtualList({
    scroller,
    list,
    key: (/** @type {string} */ username) => username,
    version: (username) => {
      const user = state.people.get(username);
      return [nameOf(username), presence(user), `u:${username}` === state.open].join();
    },
    render: (username) => personRow(/** @type {User} */ (state.people.get(username))),
    estimate: () => 64,
  });
  /** @type {string[]} */
  let names = [];
  let query = '';
  /** @type {string | null} */
  let next = null;
  let isLoading = false;

  fill(root, searchField(t('searchPeople'), search), scroller);
  arrows(scroller);
  on(['people', 'places'], show, signal);
  on('status', () => state.status === 'online' && names.length === 0 && load(), signal);
  scroller.addEventListener('scroll', () => next && scroller.scrollHeight - scroller.scrollTop < 2 * scroller.clientHeight && load(), { passive: true });
  signal.addEventListener('abort', () => virtual.destroy());
  void load();

  /** @param {string} text */
  function search(text) {
    query = text;
    next = null;
    names = [];
    void load();
  }

  async function load() {
    const asked = query;
    if (isLoading) return;
    isLoading = true;
    try {
      const parameters = new URLSearchParams({ limit: '100', ...(asked && { search: asked }), ...(next && { after: next }) });
      const page = await call('GET', `/api/users?${parameters}`);
      if (asked === query) {
        meetAll(page.users);
        names.push(...page.users.map((/** @type {User} */ user) => user.username));
        next = page.next;
        if (names.length === 1 && !query) fill(note, empty(icon('people'), t('alone'), t('aloneText')));
        else fill(note, names.length === 0 && empty(icon('search'), t('nothingFound'), t('nothingFoundText')));
        show();
      }
    } catch (error) {
      if (names.length === 0) fill(note, h('p', { class: 'list-note' }, sentence(error)));
    }
    isLoading = false;
    if (asked !== query) void load();
  }

  function show() {
    const online = (/** @type {string} */ name) => (state.people.get(name)?.isOnline ? 0 : 1);
    // As long as only the first page is here, those who are there come first.
    virtual.set(next ? names : [...names].sort((a, b) => online(a) - online(b)));
  }
}

/** @param {User} user */
export function personRow(user) {
  const name = nameOf(user.username);
  const isSelf = user.username === state.me.username;
  return h(
    'li',
    null,
    h(
      'a',
      { class: 'row', href: hrefOf(`u:${user.username}`), 'aria-current': `u:${user.username}` === state.open ? 'page' : false },
      personAvatar(user.username, name),
      h(
        'span',
        { class: 'row-text' },
        h('span', { class: 'row-line' }, h('span', { class: 'row-title', dir: 'auto' }, name, isSelf && ` (${t('you')})`), name !== user.username && h('span', { class: 'row-time', dir: 'auto' }, user.username)),
        h('span', { class: user.isOnline && !isSelf ? 'row-last online' : 'row-last' }, isSelf ? t('notes') : presence(user)),
      ),
    ),
  );
}

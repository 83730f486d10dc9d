// The members of a group that a message may mention, offered while somebody writes an `@`.

import { t } from '../i18n/index.js';
import { nameOf, state } from '../store.js';
import { personAvatar } from './avatar.js';
import { membersOf } from './details.js';
import { fill, h, say } from './dom.js';

/** How many are offered at once. */
const MOST = 6;

/** @param {HTMLTextAreaElement} text @param {string} key @param {() => void} changed is called when a name was put in */
export function offersMembers(text, key, changed) {
  const list = h('ul', { class: 'mentions', role: 'listbox', id: 'mentions', 'aria-label': t('memberNames'), hidden: true });
  const status = h('p', { class: 'unseen', role: 'status' });
  const element = h('div', null, list, status);
  /** @type {string[]} */
  let members = [];
  /** @type {string[]} */
  let offered = [];
  let active = 0;
  /** What was closed by Escape stays closed until another `@`. */
  let closedAt = -1;
  text.setAttribute('aria-autocomplete', 'list');
  text.setAttribute('aria-haspopup', 'listbox');
  text.addEventListener('blur', () => show([]));
  void load();
  return { element, keys, update };

  async function load() {
    try {
      members = (await membersOf(key)).map(({ username }) => username).filter((username) => username !== state.me.username);
      update();
    } catch {
      // Without the server nobody is offered.
    }
  }

  /** Where the name before the cursor begins, and what there is of it. */
  function begun() {
    const before = text.value.slice(0, text.selectionStart);
    const found = /(?:^|[\s(])@([^@\n]{0,64})$/u.exec(before);
    return found ? { at: before.length - found[1].length, part: found[1].toLocaleLowerCase() } : null;
  }

  function update() {
    const now = begun();
    if (now?.at !== closedAt) closedAt = -1;
    if (!now || closedAt >= 0) return show([]);
    const fits = (/** @type {string} */ name) => name.toLocaleLowerCase().startsWith(now.part);
    show(members.filter((username) => fits(username) || fits(nameOf(username))).slice(0, MOST));
  }

  /** @param {string[]} usernames */
  function show(usernames) {
    if (usernames.join('\n') !== offered.join('\n')) active = 0;
    offered = usernames;
    list.hidden = offered.length === 0;
    fill(list, offered.map(option));
    if (list.hidden) {
      text.removeAttribute('aria-activedescendant');
      text.removeAttribute('aria-controls');
    } else {
      text.setAttribute('aria-controls', 'mentions');
      text.setAttribute('aria-activedescendant', `mention-${active}`);
    }
    say(status, list.hidden ? '' : t('offered', { count: offered.length }));
  }

  /** @param {string} username @param {number} index */
  function option(username, index) {
    const name = nameOf(username);
    return h(
      'li',
      {
        class: 'option',
        role: 'option',
        id: `mention-${index}`,
        'aria-selected': String(index === active),
        // The field keeps the focus.
        onpointerdown: (/** @type {Event} */ event) => event.preventDefault(),
        onclick: () => choose(username),
      },
      personAvatar(username, name, { size: 'small' }),
      h('span', { dir: 'auto' }, name),
      name !== username && h('span', { class: 'row-time' }, username),
    );
  }

  /** @param {string} username */
  function choose(username) {
    const now = begun();
    if (!now) return;
    text.setRangeText(`${username} `, now.at, text.selectionStart, 'end');
    show([]);
    text.focus();
    changed();
  }

  /** Whether a key was for the list. @param {KeyboardEvent} event */
  function keys(event) {
    if (list.hidden || event.isComposing) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      active = (active + step + offered.length) % offered.length;
      show(offered);
    } else if (event.key === 'Enter' || event.key === 'Tab') choose(offered[active]);
    else if (event.key === 'Escape') {
      closedAt = begun()?.at ?? -1;
      show([]);
    } else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }
}

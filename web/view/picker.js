// A field to choose people: type a part of a name, choose from the list.

import { t } from '../i18n/index.js';
import { meetAll } from '../people.js';
import { call } from '../session.js';
import { nameOf, state } from '../store.js';
import { personAvatar } from './avatar.js';
import { fill, h, icon } from './dom.js';
import { field } from './forms.js';

/** @import { User } from '../types.js' */

/** @param {string} label @param {Set<string>} [without] who cannot be chosen */
export function peoplePicker(label, without = new Set()) {
  /** @type {Set<string>} */
  const chosen = new Set();
  const chips = h('ul', { class: 'chips', 'aria-label': t('chosen') });
  const options = h('ul', { class: 'options' });
  const { element, input, complain } = field(label, { type: 'search', autocomplete: 'off', oninput: () => find(), onkeydown: keys });
  element.append(options);
  element.insertBefore(chips, element.children[1]);
  let asked = 0;

  /** @param {KeyboardEvent} event */
  function keys(event) {
    const first = options.querySelector('button');
    if (event.key === 'Enter' && input.value && first) {
      event.preventDefault();
      first.click();
    }
    if (event.key === 'Backspace' && !input.value && chosen.size > 0) drop([...chosen].at(-1) ?? '');
  }

  async function find() {
    const mine = (asked += 1);
    const text = input.value.trim();
    if (!text) return fill(options);
    const { users } = await call('GET', `/api/users?limit=8&search=${encodeURIComponent(text)}`).catch(() => ({ users: [] }));
    if (mine !== asked) return;
    meetAll(users);
    const free = users.filter((/** @type {User} */ { username }) => username !== state.me.username && !chosen.has(username) && !without.has(username));
    fill(options, free.map(option), free.length === 0 && h('li', { class: 'list-note' }, t('nothingFound')));
  }

  /** @param {User} user */
  function option({ username }) {
    const name = nameOf(username);
    const button = h('button', { type: 'button', class: 'option', onclick: () => choose(username) }, personAvatar(username, name, { size: 'small' }), h('span', null, name), name !== username && h('span', { class: 'row-time' }, username));
    return h('li', null, button);
  }

  /** @param {string} username */
  function choose(username) {
    chosen.add(username);
    input.value = '';
    fill(options);
    show();
    input.focus();
  }

  /** @param {string} username */
  function drop(username) {
    chosen.delete(username);
    show();
    input.focus();
  }

  function show() {
    const chip = (/** @type {string} */ name) =>
      h('li', { class: 'chip' }, nameOf(name), h('button', { type: 'button', 'aria-label': t('removeNamed', { name: nameOf(name) }), onclick: () => drop(name) }, icon('close')));
    fill(chips, [...chosen].map(chip));
  }

  return { element, input, complain, chosen: () => [...chosen] };
}

// What one can do with a message: react, edit, delete.

import { mayDelete, react, remove } from '../changes.js';
import { EventRefused } from '../connection.js';
import { t } from '../i18n/index.js';
import { state } from '../store.js';
import { h, icon } from './dom.js';
import { problemText } from './forms.js';

/** @import { Message, Place } from '../types.js' */

const KEYS = ['👍', '❤️', '😂', '😮', '😢', '🎉'];

/** @param {Message} message @param {Place} place */
export function menu(message, place) {
  const isMine = message.sender === state.me.username;
  const summary = h('summary', { class: 'message-more', 'aria-label': t('messageMenu'), title: t('messageMenu') }, icon('more'));
  const element = h('details', { class: 'message-menu', ontoggle: () => element.open && fillMenu(), onkeydown: keys }, summary);
  document.addEventListener('click', outside);
  return element;

  function fillMenu() {
    element.append(
      h(
        'div',
        { class: 'menu' },
        h('div', { class: 'menu-keys' }, KEYS.map((key) => h('button', { type: 'button', 'aria-label': t('react', { key }), onclick: (/** @type {Event} */ event) => acts(close(event), react(message, key)) }, key))),
        isMine && message.kind === 'text' && h('button', { type: 'button', onclick: (/** @type {Event} */ event) => tells(close(event), 'edit', message) }, t('editMessage')),
        mayDelete(message, place) && h('button', { type: 'button', class: 'danger', onclick: (/** @type {Event} */ event) => acts(close(event), remove(message)) }, t('deleteMessage')),
      ),
    );
    fit();
  }

  /** The menu opens to where there is room for it. */
  function fit() {
    element.classList.remove('up', 'back');
    const room = element.closest('.timeline')?.getBoundingClientRect();
    const box = element.querySelector('.menu')?.getBoundingClientRect();
    if (!room || !box) return;
    element.classList.toggle('up', box.bottom > room.bottom);
    element.classList.toggle('back', box.right > room.right);
  }

  /** @param {Event} event */
  function close(event) {
    element.open = false;
    element.querySelector('.menu')?.remove();
    return event;
  }

  /** @param {KeyboardEvent} event */
  function keys(event) {
    if (event.key !== 'Escape' || !element.open) return;
    close(event);
    summary.focus();
  }

  /** @param {Event} event */
  function outside(event) {
    if (!element.isConnected) document.removeEventListener('click', outside);
    else if (element.open && !element.contains(/** @type {Node} */ (event.target))) close(event);
  }
}

/** The room shows why something was refused. @param {Event} event @param {Promise<unknown>} done */
export function acts(event, done) {
  const target = /** @type {Element} */ (event.currentTarget ?? event.target);
  const room = target.closest('.timeline');
  done.catch((error) => {
    const detail = error instanceof EventRefused ? problemText(error.problem) : t('unreachable');
    room?.dispatchEvent(new CustomEvent('problem', { detail }));
  });
}

/** @param {Event} event @param {string} name @param {unknown} detail */
function tells(event, name, detail) {
  const target = /** @type {Element} */ (event.currentTarget ?? event.target);
  const room = target.closest('.timeline') ?? document.querySelector('.timeline');
  room?.dispatchEvent(new CustomEvent(name, { detail }));
}

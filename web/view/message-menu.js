// The menu of a message. What it can do is loaded when it is opened.

import { EventRefused } from '../connection.js';
import { t } from '../i18n/index.js';
import { h, icon } from './dom.js';
import { problemText } from './forms.js';

/** @import { Message, Place } from '../types.js' */

/** @param {Message} message @param {Place} place */
export function menu(message, place) {
  const summary = h('summary', { class: 'message-more', 'aria-label': t('messageMenu'), title: t('messageMenu') }, icon('more'));
  const element = h('details', { class: 'message-menu', ontoggle: toggled, onkeydown: keys }, summary);
  return element;

  async function toggled() {
    if (!element.open) return empty();
    document.addEventListener('click', outside);
    const { actions } = await import('./message-actions.js');
    const content = await actions(message, place, element);
    // It may be closed by now.
    if (!element.open || element.querySelector('.menu')) return;
    element.append(content);
    fit();
  }

  /** The menu opens to where there is room for it. */
  function fit() {
    element.classList.remove('up', 'back');
    const room = element.closest('.timeline')?.getBoundingClientRect();
    const box = element.querySelector('.menu')?.getBoundingClientRect();
    if (!room || !box) return;
    element.classList.toggle('up', box.bottom > room.bottom);
    element.classList.toggle('back', box.right > room.right || box.left < room.left);
  }

  function empty() {
    document.removeEventListener('click', outside);
    element.querySelector('.menu')?.remove();
  }

  /** @param {KeyboardEvent} event */
  function keys(event) {
    if (event.key !== 'Escape' || !element.open) return;
    event.stopPropagation();
    element.open = false;
    summary.focus();
  }

  /** @param {Event} event */
  function outside(event) {
    if (!element.isConnected) empty();
    else if (!element.contains(/** @type {Node} */ (event.target))) element.open = false;
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
export function tells(event, name, detail) {
  const target = /** @type {Element} */ (event.currentTarget ?? event.target);
  const room = target.closest('.timeline') ?? document.querySelector('dialog .timeline') ?? document.querySelector('.timeline');
  room?.dispatchEvent(new CustomEvent(name, { detail }));
}

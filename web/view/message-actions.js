// What one can do with a message: react, answer, pin, forward, copy, edit, delete.

import { mayDelete, mayPin, pin, react, remove } from '../changes.js';
import { t } from '../i18n/index.js';
import { placeOf, state } from '../store.js';
import { membersOf } from './details.js';
import { h } from './dom.js';
import { confirm } from './forms.js';
import { acts, tells } from './message-menu.js';

/** @import { Message, Place } from '../types.js' */

const KEYS = ['👍', '❤️', '😂', '😮', '😢', '🎉'];

/** The content of the menu of a message. @param {Message} message @param {Place} place @param {HTMLDetailsElement} element */
export async function actions(message, place, element) {
  const close = () => (element.open = false);
  const isMine = message.sender === state.me.username;
  // What admins may do is known with the members.
  if (place.kind === 'group' && !place.role) await membersOf(place.key).catch(() => {});
  const now = placeOf(place.key);
  /** @param {string} label @param {(event: Event) => void} act @param {string} [kind] */
  const item = (label, act, kind = '') => {
    const onclick = (/** @type {Event} */ event) => {
      act(event);
      close();
    };
    return h('button', { type: 'button', class: kind, onclick }, label);
  };
  const key = (/** @type {string} */ each) => {
    const button = item(each, (event) => acts(event, react(message, each)));
    button.setAttribute('aria-label', t('react', { key: each }));
    return button;
  };
  return h(
    'div',
    { class: 'menu' },
    h('div', { class: 'menu-keys' }, KEYS.map(key)),
    item(t('reply'), (event) => tells(event, 'reply', message)),
    place.kind !== 'lobby' && !element.closest('dialog') && item(t('replyInThread'), (event) => tells(event, 'thread', message.thread ?? message.messageId)),
    mayPin(now) && item(t(message.pinnedAt ? 'unpinMessage' : 'pinMessage'), (event) => acts(event, pin(message, !message.pinnedAt))),
    message.kind === 'text' && item(t('forward'), async () => (await import('./forward.js')).forward(message)),
    message.kind === 'text' && navigator.clipboard && item(t('copy'), (event) => acts(event, navigator.clipboard.writeText(message.content))),
    isMine && message.kind === 'text' && item(t('editMessage'), (event) => tells(event, 'edit', message)),
    mayDelete(message, now) && item(t('deleteMessage'), () => confirm(t('deleteThisMessage'), t('deleteMessageText'), t('deleteMessage'), () => remove(message)), 'danger'),
  );
}

// Sends a copy of a message to another conversation: a dialog to choose it, and to write a word about it.

import { address, ask } from '../connection.js';
import { t } from '../i18n/index.js';
import { conversations } from '../store.js';
import { avatar, personAvatar } from './avatar.js';
import { arrows } from './chats.js';
import { fill, h, say } from './dom.js';
import { dialog, field, sentence } from './forms.js';
import { hrefOf, titleOf } from './names.js';
import { textOf } from './status.js';

/** @import { Message, Place } from '../types.js' */

/** @param {Message} message */
export function forward(message) {
  const filter = field(t('searchConversations'), { type: 'search', autocomplete: 'off', oninput: () => show() });
  const comment = field(t('comment'), { autocomplete: 'off', dir: 'auto' }, t('commentHint'));
  const list = h('ul', { class: 'rows plain' });
  const error = h('p', { class: 'form-error', role: 'alert' });
  // The lobby takes no copies.
  const places = conversations().filter((place) => place.kind !== 'lobby');
  // Sent twice, it is stored once in each conversation.
  const clientMessageId = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
  let isBusy = false;
  const box = dialog(t('forwardTo'), () => [h('p', { class: 'quiet forwarded-text', dir: 'auto' }, textOf(message)), comment.element, filter.element, error, list]);
  arrows(list);
  filter.input.focus();
  show();

  function show() {
    const part = filter.input.value.trim().toLocaleLowerCase();
    const found = places.filter(({ key }) => titleOf(key).toLocaleLowerCase().includes(part));
    fill(list, found.length > 0 ? found.map(row) : h('li', { class: 'list-note' }, t('nothingFound')));
  }

  /** @param {Place} place */
  function row({ key, peer }) {
    const title = titleOf(key);
    const picture = peer ? personAvatar(peer, title, { size: 'small' }) : avatar(key, title, { kind: 'group', size: 'small' });
    return h('li', null, h('button', { type: 'button', class: 'row', onclick: () => void send(key) }, picture, h('span', { class: 'row-title', dir: 'auto' }, title)));
  }

  /** @param {string} key */
  async function send(key) {
    if (isBusy) return;
    isBusy = true;
    const text = comment.input.value.trim();
    try {
      await ask('forwardMessage', { messageId: message.messageId, ...address(key), clientMessageId, ...(text && { comment: text }) });
      box.close();
      location.hash = hrefOf(key);
    } catch (reason) {
      say(error, sentence(reason));
    } finally {
      isBusy = false;
    }
  }
}

// The pinned messages of a conversation, as a list; and the dialog about a conversation that is no group.

import { mayPin, pin, pinned } from '../changes.js';
import { t } from '../i18n/index.js';
import { nameOf, on, placeOf } from '../store.js';
import { personAvatar } from './avatar.js';
import { brief } from './dates.js';
import { fill, h, iconButton } from './dom.js';
import { dialog, sentence, skeleton } from './forms.js';
import { textOf } from './status.js';
import { ownSettings } from './own-settings.js';
import { titleOf } from './names.js';

/** @import { Message } from '../types.js' */

/** @param {string} key @param {() => void} close what the list stands in @param {AbortSignal} signal */
export function pinnedList(key, close, signal) {
  const body = h('div', null, skeleton(2));
  let asked = 0;
  on('pins', () => void show(), signal);
  void show();
  return body;

  async function show() {
    const mine = (asked += 1);
    try {
      const messages = await pinned(key);
      if (mine !== asked || signal.aborted) return;
      if (messages.length === 0) fill(body, h('p', { class: 'quiet' }, t(mayPin(placeOf(key)) ? 'noPinsText' : 'noPins')));
      else fill(body, h('ul', { class: 'rows plain' }, messages.map(row)));
    } catch (error) {
      fill(body, h('p', { class: 'form-error', role: 'alert' }, sentence(error)));
    }
  }

  /** @param {Message} message */
  function row(message) {
    const name = nameOf(message.sender);
    const at = new Date(message.timestamp);
    const jump = () => {
      close();
      document.querySelector('.timeline')?.dispatchEvent(new CustomEvent('jump', { detail: message.seq }));
    };
    return h(
      'li',
      { class: 'pin-row' },
      h(
        'button',
        { type: 'button', class: 'row', onclick: jump },
        personAvatar(message.sender, name, { size: 'small' }),
        h(
          'span',
          { class: 'row-text' },
          h('span', { class: 'row-line' }, h('span', { class: 'row-title', dir: 'auto' }, name), h('time', { class: 'row-time', datetime: at.toISOString() }, brief(at))),
          h('span', { class: 'row-last', dir: 'auto' }, textOf(message)),
        ),
      ),
      mayPin(placeOf(key)) && iconButton('close', t('unpinMessage'), () => void pin(message, false).catch((error) => fill(body, h('p', { class: 'form-error', role: 'alert' }, sentence(error))))),
    );
  }
}

/** @param {string} key */
export function aboutConversation(key) {
  const gone = new AbortController();
  const box = dialog(titleOf(key), (close) => [h('section', { class: 'dialog-part' }, h('h3', null, t('pinnedMessages')), pinnedList(key, close, gone.signal)), ownSettings(key, close, gone.signal)]);
  box.addEventListener('close', () => gone.abort());
}

// The field to write in. What is not sent stays in it, over reloads too.

import * as connection from '../connection.js';
import { t } from '../i18n/index.js';
import { write } from '../outbox.js';
import { state } from '../store.js';
import { h, icon } from './dom.js';
import { titleOf } from './room.js';

/** How often at most the others are told that somebody is typing. */
const PAUSE = 3000;

/** @param {string} key @param {AbortSignal} signal @param {() => void} sent */
export function composer(key, signal, sent) {
  const slot = `parlor.draft.${state.me.id}.${key}`;
  const label = t('writeTo', { name: titleOf(key) });
  const text = h('textarea', { rows: 1, 'aria-label': label, placeholder: t('message'), enterkeyhint: 'send', dir: 'auto', 'aria-describedby': 'composer-error', oninput: typed, onkeydown: keys });
  const error = h('p', { class: 'composer-error', id: 'composer-error', role: 'alert' });
  const button = h('button', { class: 'send', 'aria-label': t('send'), title: t('send') }, icon('send'));
  const element = h('form', { class: 'composer', onsubmit: submit }, h('div', { class: 'composer-box' }, text, button), error);
  let toldAt = 0;

  text.value = localStorage.getItem(slot) ?? '';
  grow();
  signal.addEventListener('abort', () => tell(false));

  function typed() {
    error.textContent = '';
    if (text.value) localStorage.setItem(slot, text.value);
    else localStorage.removeItem(slot);
    grow();
    tell(text.value.trim() !== '');
  }

  /** @param {boolean} isTyping */
  function tell(isTyping) {
    if (key === 'lobby') return;
    if (isTyping ? Date.now() - toldAt < PAUSE : toldAt === 0) return;
    toldAt = isTyping ? Date.now() : 0;
    connection.send('typing', { ...connection.address(key), typing: isTyping });
  }

  function grow() {
    element.classList.toggle('has-text', text.value.trim() !== '');
    if (text.style.fieldSizing !== undefined && CSS.supports('field-sizing', 'content')) return;
    text.style.height = 'auto';
    text.style.height = `${text.scrollHeight}px`;
  }

  /** @param {KeyboardEvent} event */
  function keys(event) {
    const isPlain = event.key === 'Enter' && !event.shiftKey && !event.isComposing;
    if (isPlain && !matchMedia('(pointer: coarse)').matches) submit(event);
  }

  /** @param {Event} event */
  function submit(event) {
    event.preventDefault();
    const content = text.value.trim();
    if (!content) return;
    const bytes = new TextEncoder().encode(content).length;
    if (bytes > state.facts.contentBytes) {
      error.textContent = t('tooLong');
      return;
    }
    text.value = '';
    localStorage.removeItem(slot);
    error.textContent = '';
    grow();
    toldAt = 0;
    void write(key, content);
    sent();
    text.focus();
  }

  /** On a phone the keyboard would cover what one wants to read. */
  function focus() {
    if (!matchMedia('(pointer: coarse)').matches) text.focus();
  }

  return { element, focus };
}

// The field to write in. What is not sent stays in it, over reloads too.

import { edit as editMessage } from '../changes.js';
import * as connection from '../connection.js';
import { t } from '../i18n/index.js';
import { write } from '../outbox.js';
import { state } from '../store.js';
import { h, icon } from './dom.js';
import { problemText } from './forms.js';
import { titleOf } from './room.js';

/** @import { Message } from '../types.js' */

/** How often at most the others are told that somebody is typing. */
const PAUSE = 3000;

/** @param {string} key @param {AbortSignal} signal @param {() => void} sent */
export function composer(key, signal, sent) {
  const slot = `parlor.draft.${state.me.id}.${key}`;
  const label = t('writeTo', { name: titleOf(key) });
  const text = h('textarea', { rows: 1, 'aria-label': label, placeholder: t('message'), enterkeyhint: 'send', dir: 'auto', 'aria-describedby': 'composer-error', oninput: typed, onkeydown: keys });
  const error = h('p', { class: 'composer-error', id: 'composer-error', role: 'alert' });
  const button = h('button', { class: 'send', 'aria-label': t('send'), title: t('send') }, icon('send'));
  const about = h('p', { class: 'composer-editing', hidden: true }, h('span', null, t('editing')), h('button', { type: 'button', class: 'link', onclick: () => stopEditing() }, t('cancel')));
  const element = h('form', { class: 'composer', onsubmit: submit }, about, h('div', { class: 'composer-box' }, text, button), error);
  let toldAt = 0;
  /** The message whose content is in the field. @type {Message | null} */
  let edited = null;

  text.value = localStorage.getItem(slot) ?? '';
  grow();
  signal.addEventListener('abort', () => tell(false));

  function typed() {
    error.textContent = '';
    if (edited) return grow();
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
    if (event.key === 'Escape' && edited) return stopEditing();
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
    if (edited) {
      void replace(edited, content);
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

  /** @param {Message} message */
  function edit(message) {
    edited = message;
    text.value = String(message.content);
    about.hidden = false;
    error.textContent = '';
    grow();
    text.focus();
  }

  function stopEditing() {
    edited = null;
    about.hidden = true;
    error.textContent = '';
    text.value = localStorage.getItem(slot) ?? '';
    grow();
    text.focus();
  }

  /** The field keeps the text until the server has agreed. @param {Message} message @param {string} content */
  async function replace(message, content) {
    try {
      await editMessage(message, content);
      if (edited === message) stopEditing();
    } catch (problem) {
      fail(problem instanceof connection.EventRefused ? problemText(problem.problem) : t('unreachable'));
    }
  }

  /** @param {string} problem */
  function fail(problem) {
    error.textContent = problem;
  }

  /** On a phone the keyboard would cover what one wants to read. */
  function focus() {
    if (!matchMedia('(pointer: coarse)').matches) text.focus();
  }

  return { element, focus, edit, fail };
}

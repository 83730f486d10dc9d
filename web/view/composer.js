// The field to write in. What is not sent stays in it, over reloads too.

import { edit as editMessage } from '../changes.js';
import * as connection from '../connection.js';
import { t } from '../i18n/index.js';
import { write } from '../outbox.js';
import { nameOf, on, state } from '../store.js';
import { keepsDraft } from './draft.js';
import { h, icon, say } from './dom.js';
import { problemText } from './forms.js';
import { textOf } from './status.js';
import { titleOf } from './names.js';

/** @import { Message } from '../types.js' */

/** How often at most the others are told that somebody is typing. */
const PAUSE = 3000;

/**
 * @param {string} key @param {AbortSignal} signal @param {() => void} sent
 * @param {string} [thread] the root of the thread that it writes into
 */
export function composer(key, signal, sent, thread) {
  const draft = keepsDraft(key, signal, thread);
  const label = thread ? t('replyInThread') : t('writeTo', { name: titleOf(key) });
  const errorId = thread ? 'thread-error' : 'composer-error';
  const also = thread ? h('input', { type: 'checkbox' }) : null;
  const text = h('textarea', { rows: 1, 'aria-label': label, placeholder: t('message'), enterkeyhint: 'send', dir: 'auto', 'aria-describedby': errorId, oninput: typed, onkeydown: keys });
  const error = h('p', { class: 'composer-error', id: errorId, role: 'alert' });
  const button = h('button', { class: 'send', 'aria-label': t('send'), title: t('send') }, icon('send'));
  const what = h('span', { class: 'composer-what', dir: 'auto' });
  const about = h('p', { class: 'composer-about', hidden: true }, what, h('button', { type: 'button', class: 'link', onclick: stop }, t('cancel')));
  const element = h('form', { class: 'composer', onsubmit: submit }, about, h('div', { class: 'composer-box' }, text, button), also && h('label', { class: 'choice also' }, h('span', null, t('alsoInRoom')), also), error);
  let toldAt = 0;
  /** @type {ReturnType<typeof import('./mentions.js').offersMembers> | null} */
  let offers = null;
  /** The message whose content is in the field. @type {Message | null} */
  let edited = null;
  /** The message that is being answered. @type {Message | null} */
  let answered = null;

  text.value = draft.text();
  grow();
  on(`draft ${key}`, written, signal);
  signal.addEventListener('abort', () => tell(false));

  function typed() {
    error.textContent = '';
    if (offers) offers.update();
    else if (key.startsWith('g:') && text.value.includes('@')) void offer();
    if (edited) return grow();
    draft.write(text.value);
    grow();
    tell(text.value.trim() !== '');
  }

  /** Another device has written. */
  function written() {
    if (edited || draft.isOwn() || text.value.trim() === draft.text().trim()) return;
    text.value = draft.text();
    grow();
  }

  /** @param {boolean} isTyping */
  function tell(isTyping) {
    if (key === 'lobby' || thread) return;
    if (isTyping ? Date.now() - toldAt < PAUSE : toldAt === 0) return;
    toldAt = isTyping ? Date.now() : 0;
    connection.send('typing', { ...connection.address(key), typing: isTyping });
  }

  async function offer() {
    const { offersMembers } = await import('./mentions.js');
    if (offers || signal.aborted) return;
    offers = offersMembers(text, key, typed);
    element.prepend(offers.element);
  }

  function grow() {
    element.classList.toggle('has-text', text.value.trim() !== '');
    if (text.style.fieldSizing !== undefined && CSS.supports('field-sizing', 'content')) return;
    text.style.height = 'auto';
    text.style.height = `${text.scrollHeight}px`;
  }

  /** @param {KeyboardEvent} event */
  function keys(event) {
    if (offers?.keys(event)) return;
    if (event.key === 'Escape' && (edited || answered)) {
      event.stopPropagation();
      return stop();
    }
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
    draft.write('');
    error.textContent = '';
    grow();
    toldAt = 0;
    void write(key, content, { replyTo: answered?.messageId, ...(thread && { thread, alsoInRoom: also?.checked }) });
    if (also) also.checked = false;
    answered = null;
    about.hidden = true;
    sent();
    text.focus();
  }

  /** @param {Message} message */
  function edit(message) {
    [edited, answered] = [message, null];
    text.value = String(message.content);
    begin(t('editing'));
  }

  /** @param {Message} message */
  function reply(message) {
    if (edited) stop();
    answered = message;
    begin(t('replyingTo', { name: nameOf(message.sender), text: textOf(message) }));
  }

  function stop() {
    if (edited) text.value = draft.text();
    edited = answered = null;
    begin('');
  }

  /** @param {string} told */
  function begin(told) {
    say(what, told);
    about.hidden = told === '';
    error.textContent = '';
    grow();
    text.focus();
  }

  /** The field keeps the text until the server has agreed. @param {Message} message @param {string} content */
  async function replace(message, content) {
    try {
      await editMessage(message, content);
      if (edited === message) stop();
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

  return { element, focus, edit, reply, fail };
}

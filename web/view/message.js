// One message as a bubble, and what is known of its way.

import { hasReacted, react } from '../changes.js';
import { t } from '../i18n/index.js';
import { discard, retry } from '../outbox.js';
import { nameOf, state } from '../store.js';
import { colourOf } from './avatar.js';
import { personAvatar } from './avatar.js';
import { time, whole } from './dates.js';
import { h, icon } from './dom.js';
import { problemText } from './forms.js';
import { acts, menu } from './message-menu.js';

/** @import { Message, Place, Unsent } from '../types.js' */
/** @typedef {'pending' | 'failed' | 'stored' | 'delivered' | 'read'} MessageStatus */

/** @param {Message} message */
export function textOf(message) {
  if (message.deletedAt) return t('deletedMessage');
  if (message.kind === 'encrypted') return t('encrypted');
  return typeof message.content === 'string' ? message.content : JSON.stringify(message.content);
}

/** How far an own message has come. @param {Place} place @param {Message} message @returns {MessageStatus | ''} */
export function statusOf(place, message) {
  if (message.sender !== state.me.username) return '';
  if (place.kind === 'lobby') return 'stored';
  if (message.seq <= place.readTo) return 'read';
  return message.seq <= place.deliveredTo ? 'delivered' : 'stored';
}

const WORDS = /** @type {const} */ ({ pending: 'statusPending', failed: 'statusFailed', stored: 'statusStored', delivered: 'statusDelivered', read: 'statusRead' });
const PICTURES = /** @type {const} */ ({ pending: 'clock', failed: 'warning', stored: 'check', delivered: 'double', read: 'double' });

/** @param {MessageStatus} status */
export function tick(status) {
  const word = t(WORDS[status]);
  return h('span', { class: `tick ${status}`, title: word }, icon(PICTURES[status]), h('span', { class: 'unseen' }, ` ${word} `));
}

/**
 * What the bubble of a message needs.
 * @typedef {object} Shown
 * @property {Message} [message]
 * @property {Unsent} [unsent]
 * @property {boolean} isOwn
 * @property {boolean} isFirst of its sender's, without others in between
 * @property {boolean} isLast
 * @property {MessageStatus | ''} status
 * @property {boolean} isGroup
 * @property {Place} place
 */

/** @param {Shown} shown */
export function bubble({ message, unsent, isOwn, isFirst, isLast, status, isGroup, place }) {
  const sender = message?.sender ?? state.me.username;
  const text = unsent?.content ?? (message ? textOf(message) : '');
  const at = new Date(message?.timestamp ?? unsent?.at ?? 0);
  const name = nameOf(sender);
  const showsName = isGroup && !isOwn;
  const classes = ['message', isOwn && 'own', isFirst && 'first', isLast && 'last', isEmojis(text) && 'emojis', message?.deletedAt && 'deleted', status];
  return h(
    'li',
    { class: classes.filter(Boolean).join(' '), 'data-seq': message?.seq },
    showsName && h('span', { class: 'message-avatar' }, isLast && personAvatar(sender, name, { size: 'small' })),
    h(
      'div',
      { class: 'bubble' },
      showsName && isFirst ? h('a', { class: 'message-name', href: `#/u/${encodeURIComponent(sender)}`, 'data-colour': colourOf(sender) }, name) : h('span', { class: 'unseen' }, `${isOwn ? t('you') : name}: `),
      h('span', { class: message?.kind === 'encrypted' ? 'message-text encrypted' : 'message-text', dir: 'auto' }, linked(text)),
      h('span', { class: 'message-meta' }, message?.editedAt && h('span', { class: 'edited' }, t('edited')), h('time', { datetime: at.toISOString(), title: whole(at) }, time(at)), status && tick(status)),
      message && !message.deletedAt && menu(message, place),
    ),
    message?.reactions && reactions(message),
    unsent?.problem && refused(unsent),
  );
}

/** @param {Message} message */
function reactions(message) {
  const each = message.reactions?.map(({ key, count, users }) => {
    const label = t('reactedWith', { key, count });
    const onclick = (/** @type {Event} */ event) => acts(event, react(message, key));
    const title = users.map(nameOf).join(', ');
    return h('button', { type: 'button', class: 'reaction', 'aria-pressed': String(hasReacted(message, key)), 'aria-label': label, title, onclick }, key, h('span', null, count));
  });
  return h('div', { class: 'reactions' }, each);
}

/** @param {Unsent} unsent */
function refused(unsent) {
  const { problem } = unsent;
  return h(
    'div',
    { class: 'message-problem' },
    h('span', null, `${t('notSent')} ${problem ? problemText(problem) : ''}`),
    h('button', { type: 'button', class: 'link', onclick: () => retry(unsent) }, t('retry')),
    h('button', { type: 'button', class: 'link', onclick: () => discard(unsent) }, t('discard')),
  );
}

/** A text with its addresses as links. @param {string} text @returns {(string | HTMLElement)[]} */
function linked(text) {
  return text.split(/(https?:\/\/[^\s<>"]*[^\s<>".,;:!?)\]}'])/u).map((part, index) => {
    if (index % 2 === 0) return part;
    return h('a', { href: part, target: '_blank', rel: 'noopener noreferrer' }, part);
  });
}

/** @param {string} text */
const isEmojis = (text) => text.length <= 24 && /^(\p{RGI_Emoji}|\s)+$/v.test(text) && text.trim() !== '';

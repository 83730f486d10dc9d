// One message as a bubble, and what is known of its way.

import { hasReacted, react } from '../changes.js';
import { t } from '../i18n/index.js';
import { pieces } from '../mentioned.js';
import { discard, retry } from '../outbox.js';
import { nameOf, state } from '../store.js';
import { colourOf } from './avatar.js';
import { personAvatar } from './avatar.js';
import { time, whole } from './dates.js';
import { h, icon } from './dom.js';
import { problemText } from './forms.js';
import { acts, menu, tells } from './message-menu.js';
import { textOf, tick } from './status.js';

/** @import { Message, Place, Unsent } from '../types.js' */
/** @import { MessageStatus } from './status.js' */

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
 * @property {number} replies in its thread
 * @property {boolean} isThread whether the thread is shown, and not the room
 * @property {Message | null} [quote] the message that it answers; `null` if it cannot be had
 */

/** @param {Shown} shown */
export function bubble({ message, unsent, isOwn, isFirst, isLast, status, isGroup, place, quote, replies, isThread }) {
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
      message?.forwardedFrom && h('span', { class: 'forwarded', dir: 'auto' }, t('forwardedFrom', { name: nameOf(message.forwardedFrom.sender) })),
      (message ?? unsent)?.replyTo && quotation(quote),
      h('span', { class: message?.kind === 'encrypted' ? 'message-text encrypted' : 'message-text', dir: 'auto' }, linked(text).flatMap((part) => (typeof part === 'string' ? mentions(part) : part))),
      h('span', { class: 'message-meta' }, message?.pinnedAt && h('span', { class: 'pinned', title: t('pinned') }, icon('pin'), h('span', { class: 'unseen' }, `${t('pinned')} `)), message?.editedAt && h('span', { class: 'edited' }, t('edited')), message?.expiresAt && !message.deletedAt && h('span', { class: 'pinned', title: t('disappears', { when: whole(new Date(message.expiresAt)) }) }, icon('clock'), h('span', { class: 'unseen' }, `${t('disappears', { when: whole(new Date(message.expiresAt)) })} `)), h('time', { datetime: at.toISOString(), title: whole(at) }, time(at)), status && tick(status)),
      message && !message.deletedAt && menu(message, place),
    ),
    message?.reactions && reactions(message),
    message && !isThread && (replies > 0 || message.thread) && threadLink(message, replies),
    unsent?.problem && refused(unsent),
  );
}

/** The message that another one answers. @param {Message | null | undefined} message */
function quotation(message) {
  if (!message) return h('span', { class: 'quote' }, message === null ? t('quoteGone') : '…');
  const { sender, seq } = message;
  return h(
    'button',
    { type: 'button', class: 'quote', 'data-colour': colourOf(sender), onclick: (/** @type {Event} */ event) => tells(event, 'jump', seq) },
    h('span', { class: 'unseen' }, `${t('inReplyTo')} `),
    h('span', { class: 'quote-name', dir: 'auto' }, nameOf(sender)),
    h('span', { class: 'unseen' }, ': '),
    h('span', { class: 'quote-text', dir: 'auto' }, textOf(message)),
  );
}

/** What opens the thread of a message. @param {Message} message @param {number} replies */
function threadLink({ messageId, thread }, replies) {
  const onclick = (/** @type {Event} */ event) => tells(event, 'thread', thread ?? messageId);
  return h('button', { type: 'button', class: 'link thread-link', onclick }, replies > 0 ? t('replies', { count: replies }) : t('inThread'));
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

/** A text with the users whom it mentions. @param {string} text @returns {(string | HTMLElement)[]} */
function mentions(text) {
  if (!text.includes('@')) return [text];
  return pieces(text).map(({ text, username }) => (username ? h('span', { class: username === state.me.username ? 'mention me' : 'mention' }, text) : text));
}

/** @param {string} text */
const isEmojis = (text) => text.length <= 24 && /^(\p{RGI_Emoji}|\s)+$/v.test(text) && text.trim() !== '';

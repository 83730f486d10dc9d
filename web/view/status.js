// How a message reads in one line, and how far an own one has come.

import { isOver } from '../expiry.js';
import { t } from '../i18n/index.js';
import { state } from '../store.js';
import { h, icon } from './dom.js';
import { systemText } from './system.js';

/** @import { Message, Place } from '../types.js' */
/** @typedef {'pending' | 'failed' | 'stored' | 'delivered' | 'read'} MessageStatus */

/** @param {Message} message */
export function textOf(message) {
  if (message.deletedAt) return t(isOver(message) ? 'disappeared' : 'deletedMessage');
  if (message.kind === 'system') return systemText(message);
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

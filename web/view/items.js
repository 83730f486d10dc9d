// A conversation as a list of what is shown: days, messages, the line above the unread, and what is not sent yet.

import { t } from '../i18n/index.js';
import { nameOf, state } from '../store.js';
import { day, dayOf } from './dates.js';
import { h } from './dom.js';
import { bubble, statusOf, textOf } from './message.js';

/** @import { Message, Place, Timeline, Unsent } from '../types.js' */
/** @import { Shown } from './message.js' */

/** Messages further apart than this are not shown as one block. */
const BLOCK = 5 * 60_000;

/** @typedef {{ key: string, version: string, height: number, text?: string, isNew?: boolean, shown?: Shown }} Item */

/** @param {Place} place @param {Timeline} timeline @param {number} readBefore @returns {Item[]} */
export function itemsOf(place, timeline, readBefore) {
  /** @type {Item[]} */
  const items = [];
  const unsent = state.unsent.filter((entry) => entry.key === place.key);
  const all = [...timeline.messages, ...unsent];
  let lastDay = '';
  /** @type {boolean} */
  let hasLine = false;
  for (let index = 0; index < all.length; index += 1) {
    const each = all[index];
    const date = new Date(dateOf(each));
    const today = dayOf(date);
    const startsDay = today !== lastDay;
    if (startsDay) items.push({ key: `day ${today}`, version: day(date), height: 44, text: day(date) });
    lastDay = today;
    const message = 'seq' in each ? each : undefined;
    const isOwn = senderOf(each) === state.me.username;
    /** @type {boolean} */
    const startsNew = !hasLine && message !== undefined && message.seq > readBefore && !isOwn;
    if (startsNew) items.push({ key: 'new', version: 'new', height: 40, text: t('newMessages'), isNew: true });
    hasLine ||= startsNew;
    const isFirst = startsDay || startsNew || !belongs(all[index - 1], each);
    const next = all[index + 1];
    const isLast = !next || !belongs(each, next) || dayOf(new Date(dateOf(next))) !== today;
    const status = message ? statusOf(place, message) : /** @type {Unsent} */ (each).problem ? 'failed' : /** @type {Unsent} */ (each).stored ? 'stored' : 'pending';
    const isGroup = place.kind !== 'direct';
    const sender = senderOf(each);
    /** @type {Shown} */
    const shown = { message, unsent: message ? undefined : /** @type {Unsent} */ (each), isOwn, isFirst, isLast, status, isGroup, place };
    const presence = isGroup && isLast && !isOwn && state.people.get(sender)?.isOnline;
    items.push({
      key: isOwn ? `own ${message ? (message.clientMessageId ?? message.seq) : /** @type {Unsent} */ (each).id}` : `seq ${message?.seq}`,
      version: [status, isFirst, isLast, isGroup && nameOf(sender), presence, message?.seq, message?.change].join(),
      height: assumed(message ? textOf(message) : /** @type {Unsent} */ (each).content, isFirst),
      shown,
    });
  }
  return items;
}

/** @param {Message | Unsent} each */
const dateOf = (each) => ('seq' in each ? Date.parse(each.timestamp) : each.at);

/** @param {Message | Unsent} each */
const senderOf = (each) => ('seq' in each ? each.sender : state.me.username);

/** Whether a message continues the block of the one before. @param {Message | Unsent} before @param {Message | Unsent} after */
const belongs = (before, after) => before && senderOf(before) === senderOf(after) && dateOf(after) - dateOf(before) < BLOCK;

/** About how many pixels a text needs. @param {string} text @param {boolean} isFirst */
const assumed = (text, isFirst) => 38 + (isFirst ? 8 : 0) + 21 * (Math.ceil(text.length / 60) - 1 + (text.match(/\n/g)?.length ?? 0));

/** @param {Item} item */
export function renderItem(item) {
  if (item.shown) return bubble(item.shown);
  return h('li', { class: item.isNew ? 'separator new' : 'separator' }, h('span', null, item.text));
}

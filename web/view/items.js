// A conversation as a list of what is shown: days, messages, the line above the unread, and what is not sent yet.

import { isOver } from '../expiry.js';
import { t } from '../i18n/index.js';
import { quoted } from '../quotes.js';
import { nameOf, state } from '../store.js';
import { isAside } from '../threads.js';
import { day, dayOf } from './dates.js';
import { h } from './dom.js';
import { bubble } from './message.js';
import { statusOf, textOf } from './status.js';

/** @import { Message, Place, Timeline, Unsent } from '../types.js' */
/** @import { Shown } from './message.js' */

/** Messages further apart than this are not shown as one block. */
const BLOCK = 5 * 60_000;

/** @typedef {{ key: string, version: string, height: number, text?: string, isNew?: boolean, shown?: Shown }} Item */

/**
 * @param {Place} place @param {Pick<Timeline, 'messages'>} timeline @param {number} readBefore
 * @param {string} [thread] the root of the thread that is shown, and not the room
 * @returns {Item[]}
 */
export function itemsOf(place, timeline, readBefore, thread) {
  /** @type {Item[]} */
  const items = [];
  const isHere = (/** @type {Message | Unsent} */ each) => (thread ? each.thread === thread || ('seq' in each && each.messageId === thread) : !isAside(each));
  const unsent = state.unsent.filter((entry) => entry.key === place.key && isHere(entry));
  /** How many replies each root has: all are later than it, so they are here. @type {Map<string, number>} */
  const replies = new Map();
  for (const each of timeline.messages) if (each.thread && !each.deletedAt) replies.set(each.thread, (replies.get(each.thread) ?? 0) + 1);
  const all = [...timeline.messages.filter((message) => !isOver(message) && isHere(message)), ...unsent];
  /** @type {Map<string, Message> | undefined} */
  let byId;
  /** @param {string} id */
  const answered = (id) => {
    byId ??= new Map(timeline.messages.map((message) => [message.messageId, message]));
    return byId.get(id) ?? quoted(id, place.key);
  };
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
    if (message && isSystem(message)) {
      const text = textOf(message);
      items.push({ key: `seq ${message.seq}`, version: text, height: 40, text });
      continue;
    }
    const isFirst = startsDay || startsNew || !belongs(all[index - 1], each);
    const next = all[index + 1];
    const isLast = !next || !belongs(each, next) || dayOf(new Date(dateOf(next))) !== today;
    const status = message ? statusOf(place, message) : /** @type {Unsent} */ (each).problem ? 'failed' : /** @type {Unsent} */ (each).stored ? 'stored' : 'pending';
    const isGroup = place.kind !== 'direct';
    const sender = senderOf(each);
    const quote = each.replyTo ? answered(each.replyTo) : undefined;
    /** @type {Shown} */
    const shown = { quote, message, unsent: message ? undefined : /** @type {Unsent} */ (each), isOwn, isFirst, isLast, status, isGroup, place, replies: replies.get(message?.messageId ?? '') ?? 0, isThread: Boolean(thread) };
    const presence = isGroup && isLast && !isOwn && state.people.get(sender)?.isOnline;
    items.push({
      key: isOwn ? `own ${message ? (message.clientMessageId ?? message.seq) : /** @type {Unsent} */ (each).id}` : `seq ${message?.seq}`,
      version: [status, isFirst, isLast, isGroup && nameOf(sender), presence, message?.seq, shown.replies, message?.change, message?.kind === 'text' && message.content.includes('@') && state.people.size, message?.forwardedFrom && nameOf(message.forwardedFrom.sender), each.replyTo && [quote?.seq ?? quote, quote?.change, quote && nameOf(quote.sender)]].join(),
      height: assumed(message ? textOf(message) : /** @type {Unsent} */ (each).content, isFirst) + (each.replyTo ? 48 : 0),
      shown,
    });
  }
  return items;
}

/** @param {Message | Unsent} each */
const dateOf = (each) => ('seq' in each ? Date.parse(each.timestamp) : each.at);

/** @param {Message | Unsent} each */
const senderOf = (each) => ('seq' in each ? each.sender : state.me.username);

/** @param {Message | Unsent} each */
const isSystem = (each) => 'seq' in each && each.kind === 'system' && !each.deletedAt;

/** Whether a message continues the block of the one before. @param {Message | Unsent} before @param {Message | Unsent} after */
const belongs = (before, after) => before && !isSystem(before) && !isSystem(after) && senderOf(before) === senderOf(after) && dateOf(after) - dateOf(before) < BLOCK;

/** About how many pixels a text needs. @param {string} text @param {boolean} isFirst */
const assumed = (text, isFirst) => 38 + (isFirst ? 8 : 0) + 21 * (Math.ceil(text.length / 60) - 1 + (text.match(/\n/g)?.length ?? 0));

/** @param {Item} item */
export function renderItem(item) {
  if (item.shown) return bubble(item.shown);
  return h('li', { class: item.isNew ? 'separator new' : item.key.startsWith('seq') ? 'separator system' : 'separator' }, h('span', { dir: 'auto' }, item.text));
}

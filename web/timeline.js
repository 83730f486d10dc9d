// What is shown of a conversation: the newest messages of this device, older ones from the disk, then from the
// server.

import { address } from './connection.js';
import * as database from './database.js';
import { watch } from './expiry.js';
import { current, history } from './heard.js';
import { keep, marks, unwritten } from './inbox.js';
import { meetUnknown } from './people.js';
import { changed, placeOf, state } from './store.js';

/** @import { Message, Place, Timeline } from './types.js' */

/** How many messages are loaded at a time. */
const PAGE = 60;
/** How many at a time on the way to a message that is far away; the server gives no more. */
const LARGE_PAGE = 200;

/** Opens a conversation. @param {string} key @returns {Timeline} */
export function open(key) {
  let timeline = state.timelines.get(key);
  if (!timeline) {
    timeline = { messages: [], hasOlder: true, loading: null, isFresh: true, failed: false };
    state.timelines.set(key, timeline);
  }
  if (timeline.isFresh || timeline.messages.length === 0) void older(key, 1);
  return timeline;
}

/** Loads older messages, if there are any. @param {string} key @param {number} [enough] @param {number} [most] */
export async function older(key, enough = PAGE / 2, most = PAGE) {
  const timeline = state.timelines.get(key);
  if (!timeline || timeline.loading || !timeline.hasOlder) return timeline?.loading;
  timeline.loading = load(key, timeline, enough, most);
  changed(`timeline ${key}`);
  await timeline.loading;
  timeline.loading = null;
  changed(`timeline ${key}`);
}

/** Loads everything down to a message; whether it is there. @param {string} key @param {number} seq */
export async function reach(key, seq) {
  const timeline = open(key);
  const oldest = () => timeline.messages[0]?.seq ?? Infinity;
  while (oldest() > seq) {
    const before = oldest();
    await older(key, 1, LARGE_PAGE);
    if (oldest() === before && !timeline.loading) break;
  }
  return timeline.messages.some((message) => message.seq === seq);
}

/** @param {string} key @param {Timeline} timeline @param {number} enough @param {number} most */
async function load(key, timeline, enough, most) {
  timeline.failed = false;
  try {
    const found = await fromDisk(key, timeline, most);
    const oldest = timeline.messages[0]?.seq;
    if (found < enough && oldest !== 1) await fromServer(key, timeline, most);
  } catch (error) {
    timeline.failed = true;
    // Without a connection it is tried again on the next one.
    const problem = /** @type {any} */ (error).problem;
    if (problem) timeline.hasOlder = false;
  }
}

/** @param {string} key @param {Timeline} timeline @param {number} most */
async function fromDisk(key, timeline, most) {
  const place = placeOf(key);
  const before = timeline.messages[0]?.seq ?? place.last + 1;
  const from = Math.max(place.first, before - most);
  if (place.last === 0 || from >= before) return 0;
  const found = await current(() => database.messages(key, from, before - 1), unwritten(place));
  // Only what is without a hole up to what is shown.
  const next = timeline.messages[0]?.seq ?? before;
  const start = found.findLastIndex((message, at) => message.seq !== next - (found.length - at));
  return add(place, timeline, found.slice(start + 1));
}

/** @param {string} key @param {Timeline} timeline @param {number} most */
async function fromServer(key, timeline, most) {
  const place = placeOf(key);
  const before = timeline.messages[0]?.seq;
  const query = { ...address(key), limit: most, ...(before && { before }) };
  const { messages, hasMore } = await history(query);
  const last = messages.at(-1);
  if (last && (!place.roomId || !state.places.has(key))) {
    place.roomId = last.roomId;
    state.places.set(key, place);
  }
  add(place, timeline, messages);
  timeline.hasOlder = hasMore;
  timeline.isFresh = false;
  if (!last) return;
  const isNext = place.last > 0 && last.seq >= place.first - 1;
  if (place.last === 0) place.last = last.seq;
  else if (!isNext) return;
  place.first = Math.min(place.first || last.seq, messages[0].seq);
  keep(place, messages);
}

/**
 * Puts older messages before those that are there.
 * @param {Place} place @param {Timeline} timeline @param {Message[]} messages
 */
function add(place, timeline, messages) {
  const before = timeline.messages[0]?.seq ?? Infinity;
  const fresh = messages.filter((message) => message.seq < before);
  for (const message of messages) marks(place, message);
  meetUnknown(messages.map((message) => message.sender));
  timeline.messages.unshift(...fresh);
  watch(place, fresh);
  if (fresh.length > 0) timeline.isFresh = false;
  if (timeline.messages[0]?.seq === 1) timeline.hasOlder = false;
  return fresh.length;
}

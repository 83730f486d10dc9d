// A message that the user has begun to write: on this device at once, on the user's others soon.

import { hasSettings, setRoom } from '../room-settings.js';
import { on, placeOf, state } from '../store.js';

/** How long after the last key the other devices are told. */
const PAUSE = 800;

/** @param {string} key @param {AbortSignal} signal @param {string} [thread] its drafts stay on this device */
export function keepsDraft(key, signal, thread) {
  const isShared = !thread;
  // What the server does not know yet.
  const slot = `parlor.draft.${state.me.id}.${key}${thread ? `.${thread}` : ''}`;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** Whether the server may have one of this field, its answer may still be on its way. */
  let isTold = false;
  if (localStorage.getItem(slot) !== null) timer = setTimeout(tell, PAUSE);
  signal.addEventListener('abort', () => timer !== undefined && void tell());

  const text = () => localStorage.getItem(slot) ?? (isShared ? placeOf(key).draft?.content : '') ?? '';
  const isOwn = () => localStorage.getItem(slot) !== null;
  on('status', () => state.status === 'online' && isOwn() && void tell(), signal);

  /** @param {string} content */
  function write(content) {
    if (content || placeOf(key).draft || isOwn()) localStorage.setItem(slot, content);
    if (!content && !(isShared && hasSettings(key))) localStorage.removeItem(slot);
    clearTimeout(timer);
    timer = setTimeout(tell, content ? PAUSE : 0);
  }

  async function tell() {
    clearTimeout(timer);
    timer = undefined;
    const content = localStorage.getItem(slot);
    if (content === null || !isShared || !hasSettings(key)) return;
    try {
      const isNews = content || isTold || placeOf(key).draft;
      isTold = content !== '';
      if (isNews) await setRoom(key, { draft: content.trim() ? { content } : null });
      // More may have been written meanwhile.
      if (localStorage.getItem(slot) === content) localStorage.removeItem(slot);
    } catch {
      // Without a connection it stays on this device. The next one tells it.
    }
  }

  return { text, isOwn, write };
}

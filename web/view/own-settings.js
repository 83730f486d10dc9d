// The part of a dialog about a conversation with what the user alone has set for it, and when messages disappear.

import { mayPin } from '../changes.js';
import { t } from '../i18n/index.js';
import { hasSettings, isMuted, setDisappearing, setRoom } from '../room-settings.js';
import { on, placeOf } from '../store.js';
import { fill, h, say } from './dom.js';
import { sentence } from './forms.js';

const HOUR = 3600;
const DAY = 24 * HOUR;
/** @type {[number, () => string][]} */
const SPANS = [
  [0, () => t('never')],
  [HOUR, () => t('hours', { count: 1 })],
  [DAY, () => t('days', { count: 1 })],
  [7 * DAY, () => t('days', { count: 7 })],
  [90 * DAY, () => t('days', { count: 90 })],
];

/** @param {string} key @param {() => void} close @param {AbortSignal} signal */
export function ownSettings(key, close, signal) {
  const element = h('section', { class: 'dialog-part' });
  if (!hasSettings(key)) return element;
  const body = h('div', { class: 'own-settings' });
  const error = h('p', { class: 'form-error', role: 'alert' });
  fill(element, h('h3', null, t('yourSettings')), body, error);
  /** @param {Promise<void>} done */
  const acts = (done) => void done.then(() => say(error, ''), (reason) => say(error, sentence(reason)));

  let shown = '';
  on('places', show, signal);
  show();
  return element;

  function show() {
    const place = placeOf(key);
    const { notify = 'all', mutedUntil, archived, disappearAfter = 0, role } = place;
    const now = JSON.stringify([notify, mutedUntil, archived, disappearAfter, role]);
    if (now === shown) return;
    shown = now;
    // What has the focus keeps it, though it is made anew.
    const focused = [...body.querySelectorAll('button, select')].findIndex((each) => each === document.activeElement);
    /** @param {string} label @param {() => void} onclick */
    const button = (label, onclick) => h('button', { type: 'button', class: 'button', onclick }, label);
    /** @param {string} label @param {[string | number, string][]} options @param {string | number} value @param {(value: string) => Promise<void>} chosen */
    const choice = (label, options, value, chosen) =>
      h(
        'label',
        { class: 'choice' },
        h('span', null, label),
        h(
          'select',
          { onchange: (/** @type {Event} */ event) => acts(chosen(/** @type {HTMLSelectElement} */ (event.target).value)) },
          options.map(([each, text]) => h('option', { value: each, selected: String(each) === String(value) }, text)),
        ),
      );
    const spans = /** @type {[number, string][]} */ (SPANS.map(([seconds, text]) => [seconds, text()]));
    if (!spans.some(([seconds]) => seconds === disappearAfter)) spans.push([disappearAfter, t('seconds', { count: disappearAfter })]);
    const until = new Date(Date.now() + 8 * HOUR * 1000).toISOString();
    const isQuiet = isMuted(place) && notify !== 'none';
    fill(
      body,
      choice(t('notify'), [['all', t('notifyAll')], ['mentions', t('notifyMentions')], ['none', t('notifyNone')]], notify, (value) => setRoom(key, { notify: /** @type {'all'} */ (value) })),
      mayPin(place) && choice(t('disappearAfter'), spans, disappearAfter, (value) => setDisappearing(key, Number(value))),
      h(
        'div',
        { class: 'form-actions' },
        button(t(isQuiet ? 'unmute' : 'mute'), () => acts(setRoom(key, { mutedUntil: isQuiet ? null : until }))),
        button(t(archived ? 'unarchive' : 'archive'), () => acts(setRoom(key, { archived: !archived }))),
        button(t('markUnread'), () =>
          acts(
            setRoom(key, { markedUnread: true }).then(() => {
              close();
              location.hash = '#/';
            }),
          ),
        ),
      ),
    );
    if (focused >= 0) /** @type {HTMLElement | undefined} */ (body.querySelectorAll('button, select')[focused])?.focus();
  }
}

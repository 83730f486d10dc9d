// Form fields with their errors in place, and dialogs.

import { t } from '../i18n/index.js';
import { Unreachable } from '../session.js';
import { fill, h, iconButton } from './dom.js';

/** @import { Problem } from '../types.js' */

let last = 0;

/**
 * A labelled field with room for a hint and an error.
 * @param {string} label @param {Record<string, any>} properties of the input @param {string} [hint]
 */
export function field(label, properties, hint) {
  const id = `field-${(last += 1)}`;
  const input = h('input', { id, name: id, 'aria-describedby': `${id}-hint ${id}-error`, ...properties });
  const error = h('p', { class: 'field-error', id: `${id}-error`, role: 'alert' });
  const isSecret = properties.type === 'password';
  const toggle = isSecret && iconButton('eye', t('showPassword'), reveal, { 'aria-pressed': 'false' });
  function reveal() {
    const shows = input.type === 'password';
    input.type = shows ? 'text' : 'password';
    if (toggle) toggle.setAttribute('aria-pressed', String(shows));
  }
  input.addEventListener('input', () => complain(''));
  /** @param {string} text */
  function complain(text) {
    error.textContent = text;
    input.toggleAttribute('aria-invalid', text !== '');
    if (text) input.setAttribute('aria-invalid', 'true');
  }
  const element = h(
    'div',
    { class: 'field' },
    h('label', { for: id }, label),
    h('div', { class: 'field-box' }, input, toggle),
    h('p', { class: 'field-hint', id: `${id}-hint` }, hint),
    error,
  );
  return { element, input, complain };
}

/** @typedef {ReturnType<typeof field>} Field */

/**
 * A form that waits for its command, and shows a refusal where it belongs.
 * @param {{ fields: Record<string, Field>, action: string, done: () => Promise<void>, danger?: boolean, class?: string, more?: (Node | false)[] }} options
 * `fields` are named as the server names them
 */
export function form({ fields, action, done, danger, more = [], ...options }) {
  const error = h('p', { class: 'form-error', role: 'alert' });
  const button = h('button', { class: danger ? 'button danger' : 'button primary' }, action);
  const element = h(
    'form',
    { class: `form ${options.class ?? ''}`, novalidate: true, onsubmit: submit },
    Object.values(fields).map((each) => each.element),
    error,
    h('div', { class: 'form-actions' }, more, button),
  );
  let isBusy = false;

  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    if (isBusy) return;
    error.textContent = '';
    const invalid = Object.values(fields).find(({ input }) => !input.checkValidity());
    for (const each of Object.values(fields)) each.complain(each.input.checkValidity() ? '' : told(each.input));
    if (invalid) return invalid.input.focus();
    isBusy = true;
    button.setAttribute('aria-busy', 'true');
    try {
      await done();
    } catch (reason) {
      const problem = /** @type {{ problem?: Problem }} */ (reason).problem;
      const wrong = problem?.field ? fields[problem.field] : problem?.code === 'wrong_password' ? fields.currentPassword ?? fields.password : undefined;
      if (wrong) {
        wrong.complain(sentence(reason));
        wrong.input.focus();
      } else error.textContent = sentence(reason);
    } finally {
      isBusy = false;
      button.removeAttribute('aria-busy');
    }
  }
  return element;
}

/** Why the browser finds a value wrong. @param {HTMLInputElement} input */
function told(input) {
  const { validity } = input;
  if (validity.valueMissing) return t('needed');
  if (validity.tooShort) return t('tooShort', { count: input.minLength });
  return input.validationMessage;
}

/** An error as a sentence for the user. @param {unknown} reason */
export function sentence(reason) {
  if (reason instanceof Unreachable) return t('unreachable');
  const problem = /** @type {{ problem?: Problem }} */ (reason).problem;
  if (!problem) return t('unreachable');
  return problemText(problem);
}

/** @param {Problem} problem */
export function problemText(problem) {
  const seconds = Math.ceil((problem.retryAfterMs ?? 1000) / 1000);
  switch (problem.code) {
    case 'unauthorized':
      return t('wrongLogin');
    case 'wrong_password':
      return t('wrongPassword');
    case 'conflict':
      return t('taken');
    case 'rate_limited':
      return seconds > 90 ? t('tooOftenMinutes', { count: Math.ceil(seconds / 60) }) : t('tooOften', { count: seconds });
    case 'unavailable':
      return t('busy');
    case 'too_large':
      return t('tooLong');
    case 'not_a_member':
      return t('notAMember');
    case 'not_found':
      return t('notFound');
    case 'internal':
      return t('broken');
    default:
      // The server says which rule; only in English.
      return problem.message || t('broken');
  }
}

/**
 * A dialog that closes by Escape, by its cross and by a click beside it.
 * @param {string} title @param {(close: () => void) => Node[]} content
 */
export function dialog(title, content) {
  const id = `dialog-${(last += 1)}`;
  const element = h('dialog', { class: 'dialog', 'aria-labelledby': id });
  const close = () => element.close();
  element.append(
    h('header', { class: 'dialog-head' }, h('h2', { id }, title), iconButton('close', t('close'), close)),
    h('div', { class: 'dialog-body' }, ...content(close)),
  );
  element.addEventListener('click', (event) => event.target === element && close());
  element.addEventListener('close', () => element.remove());
  document.body.append(element);
  element.showModal();
  const wanted = /** @type {HTMLElement | null} */ (element.querySelector('[autofocus], input'));
  wanted?.focus();
  return element;
}

/**
 * Asks before something that cannot be undone.
 * @param {string} title @param {string} text @param {string} action @param {() => Promise<void>} done
 */
export function confirm(title, text, action, done) {
  dialog(title, (close) => [
    h('p', null, text),
    form({
      fields: {},
      action,
      danger: true,
      more: [h('button', { type: 'button', class: 'button', autofocus: true, onclick: close }, t('cancel'))],
      done: async () => {
        await done();
        close();
      },
    }),
  ]);
}

/** A list that is not there yet. @param {number} rows */
export function skeleton(rows) {
  const row = () =>
    h('div', { class: 'skeleton-row' }, h('span', { class: 'skeleton round' }), h('span', { class: 'skeleton-lines' }, h('span', { class: 'skeleton' }), h('span', { class: 'skeleton short' })));
  return h('div', { class: 'skeletons', 'aria-hidden': 'true' }, Array.from({ length: rows }, row));
}

/** Where there is nothing, what to do. @param {Node} picture @param {string} title @param {string} text @param {Node[]} actions */
export function empty(picture, title, text, ...actions) {
  return h('div', { class: 'empty' }, h('div', { class: 'empty-picture' }, picture), h('h2', null, title), h('p', null, text), actions.length > 0 && h('div', { class: 'empty-actions' }, actions));
}

/** @param {Element} element @param {string} text */
export const tellFailure = (element, text) => fill(element, h('p', { class: 'form-error', role: 'alert' }, text));

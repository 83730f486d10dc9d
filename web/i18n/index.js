// The words of the page: English, or German where the browser or the user prefers it.

import { words as english } from './en.js';

/** @typedef {keyof typeof english} Word */

const CHOSEN = 'parlor.language';
export const LANGUAGES = { en: 'English', de: 'Deutsch' };
/** The languages that are written from right to left. The layout follows the direction of the page. */
const RIGHT_TO_LEFT = ['ar', 'fa', 'he', 'ur'];

/** @type {Record<Word, string>} */
let words = english;
let current = 'en';

/** The language that the user has chosen; empty for that of the browser. */
export const chosen = () => localStorage.getItem(CHOSEN) ?? '';

/** @param {string} name */
export function choose(name) {
  if (name) localStorage.setItem(CHOSEN, name);
  else localStorage.removeItem(CHOSEN);
}

/** Loads the words of the language that fits best. */
export async function load() {
  const wanted = [chosen(), ...navigator.languages].map((tag) => tag.slice(0, 2).toLowerCase());
  current = wanted.find((tag) => tag in LANGUAGES) ?? 'en';
  words = current === 'de' ? (await import('./de.js')).words : english;
  document.documentElement.lang = current;
  document.documentElement.dir = RIGHT_TO_LEFT.includes(current) ? 'rtl' : 'ltr';
}

/** For dates: the browser's own tag says more than the language alone. */
export function language() {
  return navigator.languages.find((tag) => tag.startsWith(current)) ?? current;
}

/**
 * The text of a word, with its `{names}` filled in. `one | many` is chosen by `count`.
 * @param {Word} word @param {Record<string, string | number>} [values] @returns {string}
 */
export function t(word, values = {}) {
  let text = words[word];
  if (typeof values.count === 'number' && text.includes(' | ')) {
    text = text.split(' | ')[new Intl.PluralRules(current).select(values.count) === 'one' ? 0 : 1];
  }
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));
}

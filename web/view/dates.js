// Times as people say them, in the language of the page.

import { language, t } from '../i18n/index.js';

const DAY = 86_400_000;

/** A format is slow to make. @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();

/** @param {Intl.DateTimeFormatOptions} options @param {Date} date */
function format(options, date) {
  const name = JSON.stringify(options);
  const known = formats.get(name) ?? new Intl.DateTimeFormat(language(), options);
  formats.set(name, known);
  return known.format(date);
}

/** @param {Date} date */
export const dayOf = (date) => `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`;

/** @param {Date} date */
const daysAgo = (date) => Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / DAY);

/** @param {Date} date */
export const time = (date) => format({ hour: 'numeric', minute: '2-digit' }, date);

/** @param {Date} date */
export const whole = (date) => format({ dateStyle: 'full', timeStyle: 'short' }, date);

/** A day, for a separator. @param {Date} date */
export function day(date) {
  const ago = daysAgo(date);
  if (ago === 0 || ago === 1) {
    const word = new Intl.RelativeTimeFormat(language(), { numeric: 'auto' }).format(-ago, 'day');
    return word[0].toLocaleUpperCase(language()) + word.slice(1);
  }
  if (ago < 7) return format({ weekday: 'long' }, date);
  const isThisYear = date.getFullYear() === new Date().getFullYear();
  return format({ day: 'numeric', month: 'long', ...(!isThisYear && { year: 'numeric' }) }, date);
}

/** The time of a message in a list. @param {Date} date */
export function brief(date) {
  const ago = daysAgo(date);
  if (ago === 0) return time(date);
  if (ago < 7) return format({ weekday: 'short' }, date);
  return format({ day: 'numeric', month: 'short' }, date);
}

/** @param {{ isOnline?: boolean, lastSeen?: string | null } | undefined} user */
export function presence(user) {
  if (!user) return '';
  if (user.isOnline) return t('online');
  if (!user.lastSeen) return t('neverSeen');
  const date = new Date(user.lastSeen);
  const minutes = Math.floor((Date.now() - date.getTime()) / 60_000);
  if (minutes < 1) return t('seenNow');
  const relative = new Intl.RelativeTimeFormat(language(), { numeric: 'auto' });
  if (minutes < 60) return t('seen', { when: relative.format(-minutes, 'minute') });
  if (daysAgo(date) === 0) return t('seen', { when: relative.format(-Math.floor(minutes / 60), 'hour') });
  if (daysAgo(date) < 7) return t('seen', { when: relative.format(-daysAgo(date), 'day') });
  return t('seen', { when: format({ day: 'numeric', month: 'long', year: 'numeric' }, date) });
}

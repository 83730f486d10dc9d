// What conversations are called, and their addresses.

import { t } from '../i18n/index.js';
import { nameOf, placeOf } from '../store.js';

/** @param {string} key */
export function hrefOf(key) {
  if (key === 'lobby') return '#/lobby';
  return `#/${key[0]}/${encodeURIComponent(key.slice(2))}`;
}

/** @param {string} key */
export function titleOf(key) {
  if (key === 'lobby') return t('lobby');
  if (key.startsWith('u:')) return nameOf(key.slice(2));
  return placeOf(key).group?.groupName ?? t('group');
}

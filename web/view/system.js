// What messages of the server say, in words.

import { t } from '../i18n/index.js';
import { nameOf, state } from '../store.js';

/** @import { Message } from '../types.js' */

const WORDS = /** @type {const} */ ({ added: 'systemAdded', joined: 'systemJoined', left: 'systemLeft', owner: 'systemOwner', removed: 'systemRemoved', renamed: 'systemRenamed' });

/** @param {string} username */
const called = (username) => (username === state.me.username ? t('you') : nameOf(username));

/** @param {Message} message */
export function systemText(message) {
  /** @type {{ what?: string, usernames?: string[], name?: string, role?: string }} */
  let told = {};
  try {
    told = JSON.parse(String(message.content)) ?? {};
  } catch {
    // A newer server may say it in another form.
  }
  const { what = '', usernames = [], name = '', role } = told;
  const word = what === 'role' ? (role === 'admin' ? 'systemAdmin' : 'systemMember') : WORDS[/** @type {keyof typeof WORDS} */ (what)];
  return t(word ?? 'systemOther', { by: called(message.sender), names: usernames.map(called).join(', '), name });
}

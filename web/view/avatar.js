// Round pictures of people and groups: initials on a colour that is always the same for the same name.

import { state } from '../store.js';
import { h, icon } from './dom.js';

const COLOURS = 8;

/** The number of a name's colour; `styles/tokens.css` has the colours. @param {string} name */
export function colourOf(name) {
  let hash = 2166136261;
  for (const character of name) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 16777619);
  return (hash >>> 0) % COLOURS;
}

/** @param {string} name */
function initials(name) {
  const words = name.trim().split(/[\s._-]+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((word) => [...word][0]?.toUpperCase() ?? '').join('');
}

/** @param {string} key which colour @param {string} name @param {{ size?: 'small' | 'large', online?: boolean, kind?: 'group' | 'lobby' }} [options] */
export function avatar(key, name, { size, online, kind } = {}) {
  const colour = kind === 'lobby' ? 'lobby' : colourOf(key);
  const picture = kind === 'lobby' ? icon('door') : initials(name);
  return h(
    'span',
    { class: `avatar ${size ?? ''} ${kind === 'group' ? 'square' : ''}`, 'data-colour': colour, 'aria-hidden': 'true' },
    picture,
    online && h('span', { class: 'presence' }),
  );
}

/** @param {string} username @param {string} name @param {{ size?: 'small' | 'large' }} [options] */
export const personAvatar = (username, name, options) =>
  avatar(username, name, { ...options, online: state.people.get(username)?.isOnline && username !== state.me.username });

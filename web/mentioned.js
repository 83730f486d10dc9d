// Whom a text mentions: as the server reads it, the longest known name behind an `@` that begins a word.

import { state } from './store.js';

/** @import { Message } from './types.js' */

/** The longest username, in characters. */
const LONGEST = 64;

/** Known usernames in small letters, and of how many people they are. */
let [known, size] = [new Map(), -1];

/** @param {string} name @returns {string | undefined} */
function usernameOf(name) {
  if (size !== state.people.size) {
    known = new Map([...state.people.keys()].map((username) => [username.toLowerCase(), username]));
    size = state.people.size;
  }
  const small = name.toLowerCase();
  return known.get(small) ?? (small === state.me.username.toLowerCase() ? state.me.username : undefined);
}

/** A text in pieces, those with a username are mentions. @param {string} text @returns {{ text: string, username?: string }[]} */
export function pieces(text) {
  const found = [];
  let begin = 0;
  for (const { index } of text.matchAll(/(?<![\p{L}\p{N}_])@/gu)) {
    if (index < begin) continue;
    for (let end = Math.min(text.length, index + 1 + LONGEST); end > index + 1; end -= 1) {
      const username = /^[\p{L}\p{N}_]/u.test(text.slice(end)) ? undefined : usernameOf(text.slice(index + 1, end));
      if (!username) continue;
      found.push({ text: text.slice(begin, index) }, { text: text.slice(index, end), username });
      begin = end;
      break;
    }
  }
  return [...found, { text: text.slice(begin) }];
}

/** Whether a message mentions the user. A sender may have named others than the text does. @param {Message} message */
export function mentionsMe({ mentionsAll, mentions, kind, content }) {
  const { username } = state.me;
  if (mentionsAll || mentions) return Boolean(mentionsAll || mentions?.includes(username));
  return kind === 'text' && content.includes('@') && pieces(content).some((piece) => piece.username === username);
}

// The one connection of this page, whatever kind it is.

import { connector } from './connect/index.js';
import { state } from './store.js';

/** @import { Answer, Connector, Hooks, Problem } from './types.js' */

/** @type {Connector | null} */
let current = null;
/** Counts connections that were wanted: what belongs to an older one is void. */
let wanted = 0;

/** The server has refused an event. */
export class EventRefused extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(problem.message);
    this.problem = problem;
  }
}

/** @param {Hooks} hooks */
export async function connect(hooks) {
  disconnect();
  const mine = (wanted += 1);
  const made = await connector(state.facts, hooks);
  if (mine !== wanted) return;
  current = made;
  state.connector = made.name;
  document.documentElement.dataset.connector = made.name;
  made.open();
}

export function disconnect() {
  wanted += 1;
  current?.close();
  current = null;
}

/** Ends the connection until `reconnect`. */
export const pause = () => current?.close();

/** Opens the same connection again. */
export const reconnect = () => current?.open();

export const check = () => current?.check();

/**
 * What the server answers, whatever it is.
 * @param {string} event @param {object} data @returns {Promise<Answer>}
 */
export function request(event, data) {
  return current ? current.request(event, data) : Promise.reject(new Error('not connected'));
}

/** What the server answers if it agrees. @param {string} event @param {object} data @returns {Promise<any>} */
export async function ask(event, data) {
  const answer = await request(event, data);
  if (!answer.success) throw new EventRefused(answer.error);
  return answer.response;
}

/** @param {string} event @param {object} data */
export const send = (event, data) => current?.send(event, data);

/** How events address a conversation. @param {string} key */
export function address(key) {
  if (key === 'lobby') return { lobby: true };
  return { receiver: key.slice(2), group: key.startsWith('g:') };
}

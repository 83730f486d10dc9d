// The login. The server keeps it in a cookie that no script can read; the token in memory belongs to this tab, so
// that a tab goes on as the user whom it shows, whoever signs in elsewhere.

/** @import { User, Problem } from './types.js' */

/** The server has answered, and refuses. */
export class Refused extends Error {
  /** @param {number} status @param {Problem} problem */
  constructor(status, problem) {
    super(problem.message);
    this.status = status;
    this.problem = problem;
  }
}

/** The server has not answered. */
export class Unreachable extends Error {}

const REMEMBERED = 'parlor.user';
/** Tokens are renewed this long before their end. */
const MARGIN = 90_000;

/** @type {{ token: string, until: number } | null} */
let held = null;
/** @type {User | null} */
let user = null;
/** @type {Promise<string> | null} */
let renewing = null;
let onEnd = () => {};

/** @param {() => void} told is called when the server accepts the login no more */
export function whenEnded(told) {
  onEnd = told;
}

/**
 * One HTTP request with the token of this tab.
 * @param {string} method @param {string} path @param {object} [body]
 * @returns {Promise<any>}
 */
export async function call(method, path, body) {
  try {
    return await ask(method, path, body, await token());
  } catch (error) {
    if (hasEnded(error)) onEnd();
    throw error;
  }
}

/** @param {unknown} error */
export const hasEnded = (error) => error instanceof Refused && error.problem.code.startsWith('token_');

/**
 * @param {string} method @param {string} path @param {object} [body] @param {string} [bearer]
 * @returns {Promise<any>}
 */
async function ask(method, path, body, bearer) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (body) headers['content-type'] = 'application/json';
  if (bearer) headers.authorization = `Bearer ${bearer}`;
  let response;
  try {
    response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw new Unreachable('unreachable');
  }
  const text = await response.text().catch(() => '');
  const answer = parsed(text);
  if (response.ok) {
    keep(answer, response.headers.get('date'));
    return answer;
  }
  // A proxy in front of a server that is down answers too.
  if (!answer?.code && response.status >= 502) throw new Unreachable('unreachable');
  const code = answer?.code ?? 'internal';
  throw new Refused(response.status, { ...answer, code, message: answer?.detail ?? answer?.message ?? '' });
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * Takes the token of an answer that has one. The clock of the server counts, not the one of this machine.
 * @param {any} answer @param {string | null} date
 */
function keep(answer, date) {
  if (typeof answer?.token !== 'string') return;
  const life = Date.parse(answer.expiresAt) - (Date.parse(date ?? '') || Date.now());
  held = { token: answer.token, until: Date.now() + life };
}

/** @param {User} signedIn */
export function remember(signedIn) {
  user = signedIn;
  localStorage.setItem(REMEMBERED, JSON.stringify(signedIn));
}

/** The user who signed in here last, and has not signed out. @returns {User | null} */
export function remembered() {
  return parsed(localStorage.getItem(REMEMBERED) ?? '');
}

export function forget() {
  held = null;
  user = null;
  localStorage.removeItem(REMEMBERED);
}

/** @param {string} username @param {string} password @returns {Promise<User>} */
export async function signIn(username, password) {
  const answer = await ask('POST', '/api/auth/login', { username, password });
  remember(answer.user);
  return answer.user;
}

/** @param {{ username: string, password: string, firstName?: string }} account @returns {Promise<User>} */
export async function signUp(account) {
  await ask('POST', '/api/users', account);
  return signIn(account.username, account.password);
}

/** Goes on with the cookie of this browser. @returns {Promise<User>} */
export async function resume() {
  const answer = await ask('POST', '/api/auth/refresh');
  remember(answer.user);
  return answer.user;
}

/** Goes on as this user, although the server cannot be reached. @param {User} known */
export function resumeLater(known) {
  user = known;
}

/** A token that is valid for a while. @returns {Promise<string>} */
export async function token() {
  if (held && held.until - Date.now() > MARGIN) return held.token;
  return renew();
}

/** A new token of the same login. @returns {Promise<string>} */
export function renew() {
  renewing ??= renewed().finally(() => (renewing = null));
  return renewing;
}

async function renewed() {
  const bearer = held && held.until > Date.now() ? held.token : undefined;
  const answer = await ask('POST', '/api/auth/refresh', undefined, bearer);
  if (user && answer.user.id !== user.id) {
    // Somebody else has signed in to this browser since.
    held = null;
    throw new Refused(401, { code: 'token_revoked', message: '' });
  }
  return answer.token;
}

/** Ends this login. The cookie goes with it. */
export async function signOut() {
  await call('POST', '/api/auth/logout');
}

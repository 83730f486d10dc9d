// JSON Web Tokens, just enough to spoil them.
import { createHmac } from 'node:crypto';

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** `{ header, claims }` of a token. */
export function decoded(token) {
  const [header, claims] = token.split('.', 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
  return { header, claims };
}

/** The same token with one bit of its signature changed. */
export function tampered(token) {
  const [header, claims, signature] = token.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  bytes[0] ^= 1;
  return [header, claims, bytes.toString('base64url')].join('.');
}

/** A token like `token` with other claims or another header, signed with `secret` (or not at all). */
export function forged(token, { header = {}, claims = {}, secret }) {
  const original = decoded(token);
  const body = `${encoded({ ...original.header, ...header })}.${encoded({ ...original.claims, ...claims })}`;
  return `${body}.${secret === undefined ? '' : createHmac('sha256', secret).update(body).digest('base64url')}`;
}

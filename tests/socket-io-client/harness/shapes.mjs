// The nouns of the wire contract, checked to the letter: required fields with their types, optional
// fields absent or right, and nothing else.
import assert from 'node:assert/strict';
import { brief } from './waiting.mjs';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const CODES = new Set(
  `bad_request unauthorized token_missing token_invalid token_expired token_revoked ticket_used forbidden
   not_a_member wrong_password not_found conflict too_large rate_limited unavailable internal`.split(/\s+/),
);

const string = (value) => typeof value === 'string';
const filled = (value) => typeof value === 'string' && value !== '';
const boolean = (value) => typeof value === 'boolean';
const count = (value) => Number.isSafeInteger(value) && value >= 0;
const positive = (value) => Number.isSafeInteger(value) && value > 0;
const id = (value) => UUID_V7.test(value);
const time = (value) => TIME.test(value);
const anything = () => true;
const orNull = (test) => (value) => value === null || test(value);

const MESSAGE = {
  required: {
    messageId: id,
    roomId: id,
    seq: positive,
    sender: filled,
    receiver: filled,
    group: boolean,
    content: anything,
    kind: (value) => ['text', 'encrypted', 'system'].includes(value),
    timestamp: time,
    deliveredToAll: boolean,
    readByAll: boolean,
  },
  optional: { clientMessageId: string, replyTo: id, editedAt: time, deletedAt: time, change: positive, edits: positive },
};

const USER = {
  required: {
    id,
    username: filled,
    firstName: filled,
    lastName: orNull(string),
    isOnline: boolean,
    lastSeen: orNull(time),
    profile: anything,
  },
  optional: {},
};

const GROUP = {
  required: {
    groupId: id,
    groupName: filled,
    hasPassword: boolean,
    owner: filled,
    memberCount: count,
    lastSeq: count,
    createdAt: time,
  },
  optional: { users: Array.isArray },
};

export function assertMessage(value) {
  check('Message', MESSAGE, value);
}

/** A user as others see one: no email, no phone, nothing secret. */
export function assertUser(value) {
  check('User', USER, value);
}

export function assertGroup(value) {
  check('Group', GROUP, value);
  value.users?.forEach(assertUser);
}

/** `{ code, message, retryAfterMs? }`, the code being one of the list. */
export function assertError(value) {
  assert.ok(CODES.has(value?.code), `an error has a code of the list: ${brief(value)}`);
  assert.ok(filled(value.message), `an error has a message: ${brief(value)}`);
  if (value.retryAfterMs !== undefined) assert.ok(positive(value.retryAfterMs), `retryAfterMs: ${brief(value)}`);
}

/** An HTTP refusal: RFC 9457 with `code` added. */
export function assertProblem(answer, status, ...codes) {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/);
  assert.ok(CODES.has(answer.body?.code), `a problem has a code of the list: ${answer.text}`);
  assert.ok(codes.includes(answer.body.code), `${codes.join(' or ')} expected: ${answer.text}`);
  if (answer.body.status !== undefined) assert.equal(answer.body.status, status, answer.text);
}

function check(noun, { required, optional }, value) {
  assert.ok(value !== null && typeof value === 'object', `a ${noun} is an object: ${brief(value)}`);
  for (const [field, test] of Object.entries(required)) {
    assert.ok(field in value, `${noun}.${field} is missing: ${brief(value)}`);
    assert.ok(test(value[field]), `${noun}.${field} is wrong: ${brief(value[field])}`);
  }
  for (const [field, test] of Object.entries(optional)) {
    if (field in value) assert.ok(test(value[field]), `${noun}.${field} is wrong: ${brief(value[field])}`);
  }
  const unknown = Object.keys(value).filter((field) => !(field in required) && !(field in optional));
  assert.deepEqual(unknown, [], `a ${noun} has no such fields`);
}

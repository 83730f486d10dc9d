// Everything that a server sends in these tests is held against the contract: each event and each answer of `/chat`,
// `/` and `/ws` against contract/asyncapi.json, each answer of the HTTP API against contract/openapi.json. Fields that
// the contract does not have are a mistake, too. A mistake fails the test in which it was seen.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach } from 'node:test';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { brief } from './waiting.mjs';

const read = (name) => JSON.parse(readFileSync(new URL(`../../../contract/${name}.json`, import.meta.url), 'utf8'));
const events = read('asyncapi');
const http = read('openapi');

/** What was seen and is not in the contract, since it was last looked at. */
const mistakes = new Set();

afterEach(complain);
after(complain);

function complain() {
  const found = [...mistakes];
  mistakes.clear();
  assert.deepEqual(found, [], 'the server sent what the contract does not have');
}

/** The mistakes so far, which are then forgotten: for tests of this check. */
export function takeMistakes() {
  const found = [...mistakes];
  mistakes.clear();
  return found;
}

// ---- schemas

const ajv = new Ajv({ strict: false, discriminator: false });
addFormats(ajv);
// The contract limits integers by their type alone.
for (const format of ['int32', 'int64', 'password']) ajv.addFormat(format, true);
ajv.addSchema(placed(strict(events.components, events), 'events'), 'events');
ajv.addSchema(placed(strict(http.components, http), 'http'), 'http');

/** A schema of a document whose components have this name here. */
function placed(schema, name) {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', `"${name}#/`));
}

/** The same with no field but the known ones, and with the parts of an `allOf` put together. */
function strict(schema, document) {
  if (Array.isArray(schema)) return schema.map((item) => strict(item, document));
  if (schema === null || typeof schema !== 'object') return schema;
  if (schema.allOf) return strict(together(schema, document), document);
  const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, strict(value, document)]));
  if (copy.properties && copy.type === 'object') copy.additionalProperties ??= false;
  return copy;
}

function together({ allOf, ...rest }, document) {
  const parts = allOf.map((part) => (part.$ref ? document.components.schemas[part.$ref.split('/').at(-1)] : part));
  return {
    ...rest,
    type: 'object',
    required: parts.flatMap(({ required = [] }) => required),
    properties: Object.assign({}, ...parts.map(({ properties }) => properties)),
  };
}

const compiled = new Map();

/** The check of a schema of one of the two documents. */
function checkOf(name, document, schema) {
  const known = compiled.get(schema);
  if (known) return known;
  const check = ajv.compile(placed(strict(schema, document), name));
  compiled.set(schema, check);
  return check;
}

function holds(what, name, document, schema, value) {
  const check = checkOf(name, document, schema);
  if (check(value)) return;
  const why = check.errors.map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`);
  mistakes.add(`${what} ${brief(value, 600)}: ${why.slice(0, 6).join('; ')}`);
}

// ---- events

const CHANNELS = { '/chat': events.channels.chat, '/': events.channels.root, '/ws': events.channels.ws };
const FAILURE = { $ref: '#/components/schemas/Failure' };
const ROOT_FAILURE = { $ref: '#/components/schemas/RootFailure' };
const FAILURE_FRAME = { type: 'object', required: ['reply', 'data'], properties: { reply: {}, data: FAILURE } };
const key = (name) => name.replace(/[^A-Za-z0-9._-]/g, '-');

/** An event that the server sent in a namespace, with its arguments. */
export function checkEvent(namespace, name, args) {
  const message = CHANNELS[namespace]?.messages[`${key(name)}.event`];
  if (!message || args.length > 1) mistakes.add(`${namespace} has no event ${name} ${brief(args)}`);
  else holds(`${namespace} ${name}`, 'events', events, message.payload, args[0]);
}

/** The server's answer to an event. What the contract does not know is answered with a failure, and so is nothing. */
export function checkAnswer(namespace, name, args) {
  const message = CHANNELS[namespace]?.messages[`${key(name)}.answer`];
  const failure = namespace === '/' ? ROOT_FAILURE : FAILURE;
  if (args.length !== 1) mistakes.add(`${namespace} answers ${name} with ${brief(args)}`);
  else holds(`${namespace} the answer to ${name}`, 'events', events, message?.payload ?? failure, args[0]);
}

/** A frame that the server sent on `/ws`. `asked` has the name of the event with an id. */
export function checkFrame(frame, asked) {
  const { messages } = CHANNELS['/ws'];
  if (frame.event !== undefined) {
    const message = messages[`${key(frame.event)}.event`];
    if (message) holds('/ws', 'events', events, message.payload, frame);
    else mistakes.add(`/ws has no event ${brief(frame)}`);
    return;
  }
  const name = asked.get(JSON.stringify(frame.reply));
  const message = messages[`${key(name ?? '')}.answer`];
  holds(`/ws the answer to ${name}`, 'events', events, message?.payload ?? FAILURE_FRAME, frame);
}

// ---- HTTP

const PROBLEM = { $ref: '#/components/schemas/Problem' };
const operations = Object.entries(http.paths).flatMap(([template, methods]) => {
  const pattern = new RegExp(`^${template.replace(/\{\w+\}/g, '[^/]+')}$`);
  // `/api/rooms/mine` before `/api/rooms/{id}`.
  const names = template.split('{').length;
  return Object.entries(methods).map(([method, { responses }]) => ({ template, method, pattern, names, responses }));
});
operations.sort((a, b) => a.names - b.names);

/** An answer of the HTTP API. */
export function checkHttp(method, path, { status, headers, body }) {
  const { pathname } = new URL(path, 'http://parlor');
  const operation = operations.find((operation) => operation.pattern.test(pathname) && operation.method === method.toLowerCase());
  const type = headers.get('content-type')?.split(';')[0];
  if (type === 'application/problem+json') {
    holds(`${method} ${path} ${status}`, 'http', http, PROBLEM, body);
  }
  if (!operation) return;
  const response = operation.responses[status];
  // Origins, broken requests and limits are refused before an operation is found.
  if (!response) {
    if (status < 400) mistakes.add(`${method} ${operation.template} answers ${status}`);
    return;
  }
  const content = response.content?.['application/json'];
  if (content) holds(`${method} ${operation.template} ${status}`, 'http', http, content.schema, body);
}

// A whole chat client in one file. With a Parlor server running:
//   npm ci && node chat.mjs ada             and in a second terminal: node chat.mjs bob
//   /to bob   or   /to "Tea room" password  then every line you type goes there; Ctrl-D ends
//   @bob hello                              one line to bob, wherever the others go
// PARLOR_URL is the server. PARLOR_PASSWORD is yours; without it, it is the one that `parlor seed`
// gives its users, which is good enough to try things and for nothing else.
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { io } from 'socket.io-client';

const server = (process.env.PARLOR_URL ?? 'http://localhost:8087').replace(/\/$/, '');
const password = process.env.PARLOR_PASSWORD ?? 'parlor-demo';
const username = process.argv[2];

// The types of the events and of the HTTP API; a server has them at /parlor.d.ts.
/** @typedef {import('../../contract/parlor').ClientToServerEvents} ClientToServerEvents */
/** @typedef {import('../../contract/parlor').ServerToClientEvents} ServerToClientEvents */
/** @typedef {import('../../contract/parlor').Conversation} Conversation */
/** @typedef {import('../../contract/parlor').Message} Message */
/** @typedef {import('../../contract/parlor').Problem} Problem */
/** @typedef {import('../../contract/parlor').SignIn} SignIn */
/** @typedef {{ event: 'privateMessage' | 'groupMessage', receiver: string }} Target */

/** @param {string} line */
const say = (line) => console.log(line);
/** @param {string} reason @returns {never} */
function end(reason, code = 0) {
  (code ? console.error : console.log)(`-- ${reason}`);
  process.exit(code);
}
if (!username) end('usage: node chat.mjs NAME', 1);

// --- Signing in, by HTTP ------------------------------------------------------------------------

// The token, once there is one, stands in a header. Errors are problem+json: { code, message, ... }.
/** @type {string | undefined} */
let token;
/**
 * @template T
 * @param {string} method @param {string} path @param {object} [body]
 * @returns {Promise<{ ok: true, status: number, body: T } | { ok: false, status: number, body: Problem }>}
 */
async function http(method, path, body) {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
  const answer = await fetch(server + path, { method, headers, body: body && JSON.stringify(body) });
  return { ok: answer.ok, status: answer.status, body: await answer.json() };
}

async function signIn() {
  /** @returns {ReturnType<typeof http<SignIn>>} */
  const login = () => http('POST', '/api/auth/login', { username, password });
  let answer = await login();
  if (answer.status === 401) {
    // Unknown name or wrong password: the server does not say which. Signing up tells.
    const account = await http('POST', '/api/users', { username, password });
    if (account.status === 409) end(`${username} has another password: set PARLOR_PASSWORD`, 1);
    if (!account.ok) end(account.body.message, 1);
    answer = await login();
  }
  if (!answer.ok) end(answer.body.message, 1);
  token = answer.body.token;
  // The conversations so far; here only for the names of the groups.
  /** @type {Awaited<ReturnType<typeof http<Conversation[]>>>} */
  const rooms = await http('GET', '/api/rooms/mine');
  if (!rooms.ok) end(rooms.body.message, 1);
  /** @type {Map<string, string>} */
  const names = new Map();
  for (const room of rooms.body) if (room.kind === 'group') names.set(room.roomId, room.group.groupName);
  return names;
}

const groupNames = await signIn().catch((error) => end(`${server}: ${error.cause?.message ?? error.message}`, 1));

// --- The connection -----------------------------------------------------------------------------

// The newest seq seen of each room. The server is told with every connect, so that after a break it
// sends what was missed, and nothing twice.
/** @type {Record<string, number>} */
const since = {};

/** @type {import('socket.io-client').Socket<ServerToClientEvents, ClientToServerEvents>} */
const socket = io(`${server}/chat`, {
  auth: (give) => give({ token, since }),
  // What is not acknowledged in time, or falls into a break, is sent again. The clientMessageId of
  // each message (below) makes that safe: the server stores it once.
  retries: 5,
  ackTimeout: 5000,
});

socket.on('connect', () => say(`-- connected to ${server} as ${username}`));
// The client comes back by itself after a break (`active`), but not after a refusal: the error then
// is "code: sentence".
socket.on('connect_error', (error) => !socket.active && end(error.message, 1));
socket.on('disconnect', (reason) => (socket.active ? say(`-- ${reason}, trying again`) : end(reason)));
socket.on('token-expired', ({ response }) => end(response));

// --- What comes in ------------------------------------------------------------------------------

/** @param {Message} message */
const place = (message) => (message.group ? `#${groupNames.get(message.receiver)}` : message.receiver);

socket.on('response', ({ response: message }, acknowledge) => {
  since[message.roomId] = message.seq;
  say(`${message.sender} -> ${place(message)}: ${message.content}`);
  // "It has arrived": the sender's ticks are made of these.
  acknowledge?.({ success: true, receiver: username });
});
socket.on('updateDeliveryStatusOnConnection', ({ response: message }) => {
  say(`   ✓✓ delivered to ${place(message)}: ${message.content}`);
});
socket.on('onlineStatus', ({ username, online }) => say(`-- ${username} is ${online ? 'online' : 'offline'}`));
socket.on('newgrp', ({ response: group }) => groupNames.set(group.groupId, group.groupName));

// --- What goes out ------------------------------------------------------------------------------

// Every event is acknowledged: { success: true, response } or { success: false, error: { code, message } }.
/** @template T @param {import('../../contract/parlor').Answer<T>} answer */
function response(answer) {
  if (!answer.success) throw new Error(answer.error.message);
  return answer.response;
}

/** @param {Target} to @param {string} content */
async function send({ event, receiver }, content) {
  response(await socket.emitWithAck(event, { receiver, content, clientMessageId: randomUUID() }));
}

/** @param {string} name @param {string} [groupPassword] @returns {Promise<Target>} */
async function find(name, groupPassword) {
  const user = await http('GET', `/api/users/${encodeURIComponent(name)}`);
  if (user.ok) return { event: 'privateMessage', receiver: name };
  // No user, so a group. Joining one that one is in changes nothing.
  const group = response(await socket.emitWithAck('joinGroup', { groupName: name, password: groupPassword }));
  groupNames.set(group.groupId, group.groupName);
  return { event: 'groupMessage', receiver: group.groupId };
}

/** @type {Target | undefined} */
let target; // where lines go
/** @param {string} line */
async function handle(line) {
  const [, quoted, plain, groupPassword] = line.match(/^\/to\s+(?:"([^"]+)"|(\S+))\s*(.*?)\s*$/) ?? [];
  const [, user, privately] = line.match(/^@(\S+)\s+(.+)$/) ?? [];
  const name = quoted ?? plain;
  if (name) {
    target = await find(name, groupPassword || undefined);
    say(`-- lines go to ${name}`);
  } else if (user && privately) await send({ event: 'privateMessage', receiver: user }, privately);
  else if (target) await send(target, line);
  else say('-- to whom? /to bob, or /to "Tea room" password');
}

// One line after the other: each waits for its answer, so they are stored in the order typed.
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim()) await handle(line).catch((error) => say(`-- ${error.message}`));
}
socket.off('disconnect').disconnect();
end('bye');

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

const say = (line) => console.log(line);
function end(reason, code = 0) {
  (code ? console.error : console.log)(`-- ${reason}`);
  process.exit(code);
}
if (!username) end('usage: node chat.mjs NAME', 1);

// --- Signing in, by HTTP ------------------------------------------------------------------------

// The token, once there is one, stands in a header. Errors are problem+json: { code, detail, ... }.
let token;
async function http(method, path, body) {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
  const answer = await fetch(server + path, { method, headers, body: body && JSON.stringify(body) });
  return { ok: answer.ok, status: answer.status, body: await answer.json() };
}

async function signIn() {
  const login = () => http('POST', '/api/auth/login', { username, password });
  let answer = await login();
  if (answer.status === 401) {
    // Unknown name or wrong password: the server does not say which. Signing up tells.
    answer = await http('POST', '/api/users', { username, password });
    if (answer.status === 409) end(`${username} has another password: set PARLOR_PASSWORD`, 1);
    if (answer.ok) answer = await login();
  }
  if (!answer.ok) end(answer.body.detail, 1);
  token = answer.body.token;
  // The conversations so far; here only for the names of the groups.
  const rooms = await http('GET', '/api/rooms/mine');
  return new Map(rooms.body.filter((room) => room.group).map((room) => [room.roomId, room.group.groupName]));
}

const groupNames = await signIn().catch((error) => end(`${server}: ${error.cause?.message ?? error.message}`, 1));

// --- The connection -----------------------------------------------------------------------------

// The newest seq seen of each room. The server is told with every connect, so that after a break it
// sends what was missed, and nothing twice.
const since = {};

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

const place = (message) => (message.group ? `#${groupNames.get(message.receiver)}` : message.receiver);

socket.on('response', ({ response: message }, acknowledge) => {
  since[message.roomId] = message.seq;
  say(`${message.sender} -> ${place(message)}: ${message.content}`);
  // "It has arrived": the sender's ticks are made of these.
  acknowledge({ success: true, receiver: username });
});
socket.on('updateDeliveryStatusOnConnection', ({ response: message }) => {
  say(`   ✓✓ delivered to ${place(message)}: ${message.content}`);
});
socket.on('onlineStatus', ({ username, online }) => say(`-- ${username} is ${online ? 'online' : 'offline'}`));
socket.on('newgrp', ({ response: group }) => groupNames.set(group.groupId, group.groupName));

// --- What goes out ------------------------------------------------------------------------------

// Every event is acknowledged: { success: true, response } or { success: false, error: { code, message } }.
async function ask(event, payload) {
  const answer = await socket.emitWithAck(event, payload);
  if (!answer.success) throw new Error(answer.error.message);
  return answer.response;
}

const send = (to, content) => ask(to.event, { receiver: to.receiver, content, clientMessageId: randomUUID() });

async function find(name, groupPassword) {
  const user = await http('GET', `/api/users/${encodeURIComponent(name)}`);
  if (user.ok) return { event: 'privateMessage', receiver: name };
  // No user, so a group. Joining one that one is in changes nothing.
  const group = await ask('joinGroup', { groupName: name, password: groupPassword });
  groupNames.set(group.groupId, group.groupName);
  return { event: 'groupMessage', receiver: group.groupId };
}

let target; // where lines go
async function handle(line) {
  const [, quoted, plain, groupPassword] = line.match(/^\/to\s+(?:"([^"]+)"|(\S+))\s*(.*?)\s*$/) ?? [];
  const [, user, privately] = line.match(/^@(\S+)\s+(.+)$/) ?? [];
  if (quoted ?? plain) {
    target = await find(quoted ?? plain, groupPassword || undefined);
    say(`-- lines go to ${quoted ?? plain}`);
  } else if (user) await send({ event: 'privateMessage', receiver: user }, privately);
  else if (target) await send(target, line);
  else say('-- to whom? /to bob, or /to "Tea room" password');
}

// One line after the other: each waits for its answer, so they are stored in the order typed.
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim()) await handle(line).catch((error) => say(`-- ${error.message}`));
}
socket.off('disconnect').disconnect();
end('bye');

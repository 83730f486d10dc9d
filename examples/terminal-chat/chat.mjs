// A whole chat client in one file. With a Parlor server running:
//   npm install && node chat.mjs ada          and in a second terminal: node chat.mjs bob
//   /to bob | /to "Tea room" [password]       then every line you type goes there; Ctrl-D ends
//   @bob hello                                one line to bob, wherever the others go
// PARLOR_URL is the server (http://localhost:8087). PARLOR_PASSWORD is yours; without it, it is the one of
// the users that `parlor seed` makes, which is good enough to try things and for nothing else.
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { io } from 'socket.io-client';

const server = process.env.PARLOR_URL ?? 'http://localhost:8087';
const password = process.env.PARLOR_PASSWORD ?? 'parlor-demo';
const username = process.argv[2];
if (!username) end('usage: node chat.mjs NAME', 1);

// --- Signing in: two HTTP requests --------------------------------------------------------------------

const http = (method, path, body, token) =>
  fetch(server + path, {
    method,
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: body && JSON.stringify(body),
  });

async function signIn() {
  let login = await http('POST', '/api/auth/login', { username, password });
  if (login.status === 401) {
    // Unknown name or wrong password: the server does not say which. Signing up tells.
    const signUp = await http('POST', '/api/users', { username, password });
    if (signUp.status === 409) end(`${username} has another password: set PARLOR_PASSWORD`, 1);
    if (signUp.ok) login = await http('POST', '/api/auth/login', { username, password });
    else login = signUp;
  }
  const answer = await login.json();
  // Errors are problem+json: { code, detail, ... }.
  return login.ok ? answer.token : end(answer.detail ?? answer.title, 1);
}

const token = await signIn().catch((error) => end(`${server}: ${error.cause?.message ?? error.message}`, 1));

// --- The connection -----------------------------------------------------------------------------------

// The newest seq that was seen of each room. Told to the server with every connect, so that after a break
// it sends what was missed, and nothing twice.
const since = {};

const socket = io(`${server}/chat`, {
  auth: (use) => use({ token, since }),
  // An event that is not acknowledged in time, or falls into a break, is sent again. The clientMessageId
  // (below) makes that safe: the server stores each message once.
  retries: 5,
  ackTimeout: 5000,
});

socket.on('connect', () => say(`-- connected to ${server} as ${username}`));
socket.io.on('reconnect_attempt', () => say('-- connection lost, trying again'));
// Refusals arrive here as "code: sentence". The client tries again by itself only if it never got through.
socket.on('connect_error', (error) => {
  if (!socket.active) end(error.message, 1);
});
// Only a server that is going away closes a socket like this, and by then it may be back.
socket.on('disconnect', (reason) => {
  if (reason === 'io server disconnect' && !ending) socket.connect();
});
socket.on('token-expired', ({ response }) => end(response));

// --- What comes in ------------------------------------------------------------------------------------

const groups = {}; // names by id, for display
const place = (message) => (message.group ? `#${groups[message.receiver] ?? message.receiver}` : message.receiver);

socket.on('response', ({ response: message }, acknowledge) => {
  since[message.roomId] = message.seq;
  say(`${message.sender} -> ${place(message)}: ${message.content}`);
  // "It has arrived": this is what the sender's ticks are made of.
  acknowledge({ success: true, receiver: username });
});
socket.on('updateDeliveryStatusOnConnection', ({ response: message }) => {
  say(`   ✓✓ ${place(message)} got: ${message.content}`);
});
socket.on('onlineStatus', ({ username, online }) => say(`-- ${username} is ${online ? 'online' : 'offline'}`));
socket.on('newgrp', ({ response: group }) => (groups[group.groupId] = group.groupName));

// --- What goes out ------------------------------------------------------------------------------------

let target; // where lines go: { event, receiver }

// Every event is acknowledged with { success, response } or { success, error: { code, message } }.
async function ask(event, payload) {
  const { success, response, error } = await socket.emitWithAck(event, payload);
  if (success) return response;
  throw Object.assign(new Error(error.message), { code: error.code });
}

async function choose(name, groupPassword) {
  const user = await http('GET', `/api/users/${encodeURIComponent(name)}`, undefined, token);
  if (user.ok) return { event: 'privateMessage', receiver: name };
  // Not a user, so a group. Joining it again changes nothing.
  const group = await ask('joinGroup', { groupName: name, password: groupPassword });
  groups[group.groupId] = group.groupName;
  return { event: 'groupMessage', receiver: group.groupId };
}

const send = ({ event, receiver }, content) =>
  ask(event, { receiver, content, clientMessageId: randomUUID() });

async function handle(line) {
  const to = line.match(/^\/to\s+(?:"([^"]+)"|(\S+))(?:\s+(\S+))?\s*$/);
  const at = line.match(/^@(\S+)\s+(.+)$/);
  if (to) {
    target = await choose(to[1] ?? to[2], to[3]);
    say(`-- lines go to ${to[1] ?? to[2]}`);
  } else if (at) await send({ event: 'privateMessage', receiver: at[1] }, at[2]);
  else if (target) await send(target, line);
  else say('-- to whom? /to bob, or /to "Tea room" [password]');
}

// --- The terminal -------------------------------------------------------------------------------------

function say(line) {
  console.log(line);
}

var ending = false; // `var`, because end() may run before this line does
function end(reason, code = 0) {
  ending = true;
  (code ? console.error : console.log)(`-- ${reason}`);
  process.exit(code);
}

// The names of the groups that one is in already.
ask('listRooms', {}).then((rooms) => {
  for (const { group } of rooms) if (group) groups[group.groupId] = group.groupName;
});

// One line after the other: the next one waits for the answer, so they arrive in the order typed.
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim()) await handle(line).catch((error) => say(`-- ${error.message}`));
}
socket.disconnect();
end('bye');

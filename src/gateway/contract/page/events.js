// The page at /docs/events: sends events over a plain WebSocket, and shows what comes. Everything that it knows of the
// events is in the AsyncAPI document.
import { resolved, sample, typeOf } from './events-sample.js';

/** The most entries of the stream. Older ones go. */
const MOST = 500;

/** @template {Element} T @param {string} id @param {new () => T} kind @returns {T} */
function part(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}

const status = part('status', HTMLElement);
const signIn = part('sign-in', HTMLFormElement);
const send = part('send', HTMLFormElement);
const events = /** @type {HTMLSelectElement} */ (send.elements.namedItem('event'));
const payload = /** @type {HTMLTextAreaElement} */ (send.elements.namedItem('payload'));
const sendButton = /** @type {HTMLButtonElement} */ (send.querySelector('button'));
const stream = part('stream', HTMLOListElement);
const acknowledge = part('acknowledge', HTMLInputElement);

/** @type {WebSocket | undefined} */
let socket;
let last = 0;
/** The events that wait for their answers, by their ids. @type {Map<number, string>} */
const waiting = new Map();

/** @param {string} tag @param {string} [text] @param {string} [kind] */
function element(tag, text = '', kind = '') {
  const made = document.createElement(tag);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

/** @param {string} direction @param {string} what @param {unknown} data */
function show(direction, what, data) {
  const entry = element('li');
  const time = element('time', new Date().toLocaleTimeString());
  entry.append(element('span', `${direction} ${what}`, 'of'), time, element('pre', JSON.stringify(data, null, 2) ?? ''));
  entry.dataset.what = what;
  stream.prepend(entry);
  while (stream.childElementCount > MOST) stream.lastElementChild?.remove();
}

/** @param {string} path @param {object} [body] */
async function ask(path, body) {
  const options = body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const answer = await fetch(path, options);
  return { ok: answer.ok, body: await answer.json() };
}

// --- The connection -----------------------------------------------------------------------------

/** Connects in the name of the login, which the cookie holds. */
async function connect() {
  const session = await ask('/api/auth/session');
  signIn.hidden = session.ok;
  if (!session.ok) {
    status.textContent = 'Sign in to connect.';
    return;
  }
  const { username } = session.body.user;
  const address = new URL('/ws', location.href);
  address.protocol = address.protocol.replace('http', 'ws');
  status.textContent = `Connecting as ${username}`;
  const opened = new WebSocket(address);
  socket = opened;
  opened.onopen = () => {
    status.textContent = `Connected to /ws as ${username}`;
    sendButton.disabled = false;
  };
  opened.onmessage = ({ data }) => arrived(JSON.parse(data));
  opened.onclose = ({ code }) => {
    sendButton.disabled = true;
    waiting.clear();
    status.textContent = `Not connected (${code}). Load the page again to connect. It needs dialects.websocket.`;
  };
}

/** @param {{ event?: string, data?: any, id?: number, reply?: number }} frame */
function arrived({ event, data, id, reply }) {
  if (reply !== undefined) {
    show('←', `answer to ${waiting.get(reply) ?? reply}`, data);
    waiting.delete(reply);
    return;
  }
  show('←', event ?? '', data);
  if (id !== undefined && acknowledge.checked) {
    const answer = { reply: id, data: { success: true } };
    socket?.send(JSON.stringify(answer));
    show('→', `acknowledgement of ${event}`, answer.data);
  }
}

signIn.addEventListener('submit', async (submitted) => {
  submitted.preventDefault();
  const { ok, body } = await ask('/api/auth/login', Object.fromEntries(new FormData(signIn)));
  if (ok) await connect();
  else status.textContent = body.message;
});

send.addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  let data;
  try {
    data = JSON.parse(payload.value);
    payload.setCustomValidity('');
  } catch (error) {
    status.textContent = `The payload is no JSON: ${/** @type {Error} */ (error).message}`;
    return;
  }
  const event = events.value;
  last += 1;
  waiting.set(last, event);
  socket?.send(JSON.stringify({ event, data, id: last }));
  show('→', event, data);
});

part('clear', HTMLButtonElement).addEventListener('click', () => stream.replaceChildren());

// --- The document -------------------------------------------------------------------------------

/** @typedef {import('./events-sample.js').Schema} Schema */

/** @param {Schema} described */
function choices(described) {
  const { messages } = described.channels.chat;
  const sent = Object.entries(messages).filter(([key]) => !key.includes('.'));
  for (const [, { name }] of sent) events.add(new Option(name));
  const chosen = () => {
    const { description, payload: schema } = messages[events.value];
    part('about', HTMLElement).textContent = `${description}. ${typeOf(described, schema, true)}`;
    payload.value = JSON.stringify(sample(described, schema), null, 2);
  };
  events.addEventListener('change', chosen);
  chosen();
}

/** @param {Schema} described */
function reference(described) {
  const tables = [];
  for (const { title, description, address, messages } of Object.values(described.channels)) {
    if (address === '/ws') continue;
    const table = element('table');
    const head = element('tr');
    head.append(...['event', 'from', 'payload', 'answer', ''].map((text) => element('th', text)));
    table.append(head);
    for (const [key, message] of Object.entries(messages)) {
      const [plain, kind] = key.split('.');
      if (kind && kind !== 'event') continue;
      const answer = messages[`${plain}.${kind ? 'ack' : 'answer'}`];
      const row = element('tr');
      row.append(
        code(message.name),
        element('td', kind ? 'server' : 'client'),
        code(typeOf(described, message.payload, true)),
        code(answer ? responseOf(described, answer.payload) : ''),
        element('td', message.description),
      );
      table.append(row);
    }
    const wide = element('div', '', 'wide');
    wide.append(table);
    tables.push(element('h3', title), element('p', description), wide);
  }
  const types = element('pre');
  const named = Object.entries(described.components.schemas);
  types.textContent = named.map(([name, schema]) => `${name}: ${typeOf(described, schema, true)}`).join('\n');
  part('reference', HTMLElement).append(...tables, element('h3', 'Types'), types);
}

/** What an answer contains if the event succeeds. @param {Schema} described @param {Schema} payload */
function responseOf(described, payload) {
  const success = resolved(described, payload.oneOf?.[0] ?? payload.anyOf?.[0] ?? payload);
  return typeOf(described, success.properties?.response ?? payload.anyOf?.[0] ?? payload);
}

/** @param {string} text */
function code(text) {
  const cell = element('td');
  cell.append(element('code', text));
  return cell;
}

const described = (await ask('/asyncapi.json')).body;
choices(described);
reference(described);
document.documentElement.dataset.ready = 'true';
await connect();

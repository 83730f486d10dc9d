// The beginning: who is here, and what to show.

import * as database from './database.js';
import * as i18n from './i18n/index.js';
import { forgetKept } from './people.js';
import * as session from './session.js';
import { meet, reset, state } from './store.js';
import * as sync from './sync.js';
import { shell } from './view/shell.js';
import { applyTheme } from './view/theme.js';
import { welcome } from './view/welcome.js';

/** @import { User } from './types.js' */

const root = /** @type {HTMLElement} */ (document.getElementById('app'));
/** @type {AbortController | null} */
let shown = null;

async function begin() {
  applyTheme();
  await i18n.load();
  const facts = await fetch('/parlor.json').then((answer) => answer.json()).catch(() => null);
  if (facts) state.facts = facts;
  const known = session.remembered();
  try {
    if (known || facts?.hasCookie) return enter(await session.resume());
  } catch (error) {
    if (error instanceof session.Unreachable && known) {
      session.resumeLater(known);
      return enter(known);
    }
  }
  welcome(root, enter);
}

/** @param {User} user */
async function enter(user) {
  state.me = user;
  meet(user);
  shown?.abort();
  shown = new AbortController();
  session.whenEnded(ended);
  await sync.start(ended);
  shell(root, shown.signal, leave);
}

/** The server accepts the login no more. What is not sent waits for the next one. */
async function ended() {
  if (!shown) return;
  shown.abort();
  shown = null;
  await sync.stop();
  const { username } = state.me;
  session.forget();
  reset();
  location.hash = '#/';
  welcome(root, enter, i18n.t('loginEnded', { name: username }));
}

/** The user leaves. This device forgets everything. */
async function leave() {
  await session.signOut();
  const { id } = state.me;
  shown?.abort();
  shown = null;
  await sync.stop();
  await database.erase(id);
  forgetKept();
  for (const key of Object.keys(localStorage)) if (key.startsWith(`parlor.draft.${id}.`)) localStorage.removeItem(key);
  session.forget();
  reset();
  location.hash = '#/';
  welcome(root, enter);
}

/** Where the server cannot be reached, the page opens all the same. */
async function installWorker() {
  if (!('serviceWorker' in navigator)) return;
  const isFirst = !navigator.serviceWorker.controller;
  await navigator.serviceWorker.register('/worker.js');
  const { active } = await navigator.serviceWorker.ready;
  // What came before there was a worker, and what comes later.
  const later = ['settings', 'details', 'groups', 'groups-dialogs', 'message-actions', 'people', 'picker', 'pinned'].map((name) => `/view/${name}.js`);
  const loaded = performance.getEntriesByType('resource').map(({ name }) => name);
  const addresses = [location.pathname, ...later, ...loaded.filter((name) => name.startsWith(location.origin))];
  if (isFirst && active) {
    const { port1, port2 } = new MessageChannel();
    active.postMessage(addresses, [port2]);
    await new Promise((resolve) => (port1.onmessage = resolve));
  }
  document.documentElement.dataset.worker = 'ready';
}

void begin().then(installWorker, installWorker);

// The settings of the user: name, password, logins, look and language, and the way out.

import { LANGUAGES, choose as chooseLanguage, chosen, t } from '../i18n/index.js';
import { Refused, call, remember } from '../session.js';
import { changed, meet, nameOf, on, state } from '../store.js';
import { avatar } from './avatar.js';
import { whole } from './dates.js';
import { fill, h, icon, say } from './dom.js';
import { confirm, field, form, sentence } from './forms.js';
import { chooseTheme, theme } from './theme.js';

/** @import { Session, User } from '../types.js' */

/** @param {HTMLElement} main @param {AbortSignal} signal @param {(everywhere: boolean) => Promise<void>} leave */
export function settings(main, signal, leave) {
  const { me } = state;
  const logins = h('div', null);
  const link = h('span', { class: 'connector' });
  fill(
    main,
    h('header', { class: 'room-head' }, h('a', { class: 'icon-button back', href: '#/', 'aria-label': t('back') }, icon('back')), h('div', { class: 'room-title' }, h('h1', null, t('settings')))),
    h(
      'div',
      { class: 'settings', tabindex: '-1' },
      h('section', { class: 'card profile' }, avatar(me.username, nameOf(me.username), { size: 'large' }), h('div', null, h('h2', { dir: 'auto' }, nameOf(me.username)), h('p', { class: 'quiet', dir: 'auto' }, me.username))),
      card(t('name'), name()),
      card(t('password'), password()),
      card(t('appearance'), look()),
      logins,
      card(t('leaving'), h('p', { class: 'quiet' }, t('leavingText')), h('div', { class: 'form-actions start' }, h('button', { class: 'button danger', onclick: out }, t('logOut')))),
      h('p', { class: 'about' }, link, h('span', null, `Parlor ${state.facts.version}`)),
    ),
  );
  const connected = () => say(link, state.status === 'online' ? t('connectedOver', { kind: state.connector }) : t('reconnecting'));
  on('status', connected, signal);
  connected();
  void sessions();

  async function sessions() {
    try {
      /** @type {{ sessions: Session[] }} */
      const { sessions: all } = await call('GET', '/api/auth/sessions');
      fill(logins, card(t('sessions'), h('ul', { class: 'sessions' }, all.map(session)), all.length > 1 && h('div', { class: 'form-actions start' }, h('button', { class: 'button danger', onclick: everywhere }, t('logOutOthers')))));
    } catch (error) {
      // A server without this list has no such card.
      if (!(error instanceof Refused && error.status === 404)) fill(logins, card(t('sessions'), h('p', { class: 'quiet' }, sentence(error))));
    }
  }

  /** @param {Session} each */
  function session({ id, client, address, lastUsedAt, current }) {
    const end = async () => {
      await call('DELETE', `/api/auth/sessions/${id}`);
      await sessions();
    };
    return h(
      'li',
      null,
      h('span', { class: 'row-text' }, h('span', { class: 'row-title' }, device(client), current && h('span', { class: 'pill quiet' }, t('thisDevice'))), h('span', { class: 'row-last' }, [address, whole(new Date(lastUsedAt))].filter(Boolean).join(' · '))),
      !current && h('button', { class: 'button', onclick: () => confirm(t('endLogin'), t('endLoginText'), t('endLogin'), end) }, t('logOut')),
    );
  }

  function everywhere() {
    confirm(t('logOutOthers'), t('logOutOthersText'), t('logOutOthers'), async () => {
      await call('DELETE', '/api/auth/sessions');
      await sessions();
    });
  }

  function out() {
    const text = state.unsent.length > 0 ? t('logOutUnsent', { count: state.unsent.length }) : t('logOutText');
    confirm(t('logOut'), text, t('logOut'), () => leave(false));
  }
}

/** @param {string} title @param {(Node | false)[]} content */
const card = (title, ...content) => h('section', { class: 'card' }, h('h2', null, title), content);

/** What a browser calls itself, in short. @param {string | null} client */
function device(client) {
  const browser = /(Firefox|Edg|OPR|Chrome|Safari)\//.exec(client ?? '')?.[1];
  const system = /(Android|iPhone|iPad|Windows|Mac OS X|Linux)/.exec(client ?? '')?.[1];
  const known = [browser?.replace('Edg', 'Edge').replace('OPR', 'Opera'), system?.replace('Mac OS X', 'macOS')].filter(Boolean);
  return known.join(' · ') || client || t('unknownDevice');
}

function name() {
  const { me } = state;
  const saved = h('p', { class: 'saved', role: 'status' });
  const firstName = field(t('firstName'), { autocomplete: 'given-name', maxlength: 200, dir: 'auto', value: me.firstName === me.username ? '' : me.firstName });
  const lastName = field(t('lastName'), { autocomplete: 'family-name', maxlength: 200, dir: 'auto', value: me.lastName ?? '' });
  const done = async () => {
    /** @type {User} */
    const user = await call('PATCH', `/api/users/${me.id}`, { firstName: firstName.input.value.trim() || null, lastName: lastName.input.value.trim() || null });
    state.me = user;
    meet(user);
    remember(user);
    changed('me', 'people');
    saved.textContent = t('saved');
  };
  return form({ fields: { firstName, lastName }, action: t('save'), more: [saved], done });
}

function password() {
  const saved = h('p', { class: 'saved', role: 'status' });
  const currentPassword = field(t('currentPassword'), { type: 'password', autocomplete: 'current-password', required: true });
  const fresh = field(t('newPassword'), { type: 'password', autocomplete: 'new-password', required: true, minlength: 8 }, t('passwordRules'));
  const done = async () => {
    await call('PATCH', `/api/users/${state.me.id}`, { currentPassword: currentPassword.input.value, password: fresh.input.value });
    currentPassword.input.value = '';
    fresh.input.value = '';
    saved.textContent = t('passwordChanged');
  };
  return form({ fields: { currentPassword, password: fresh }, action: t('changePassword'), more: [saved], done });
}

function look() {
  const themes = /** @type {const} */ ([['', 'themeSystem'], ['light', 'themeLight'], ['dark', 'themeDark']]);
  const language = (/** @type {Event} */ event) => {
    chooseLanguage(/** @type {HTMLSelectElement} */ (event.target).value);
    location.reload();
  };
  const option = (/** @type {string} */ value, /** @type {string} */ label, /** @type {string} */ current) => h('option', { value, selected: value === current }, label);
  return h(
    'div',
    { class: 'form' },
    h('div', { class: 'field' }, h('label', { for: 'theme' }, t('theme')), h('select', { id: 'theme', onchange: (/** @type {Event} */ event) => chooseTheme(/** @type {HTMLSelectElement} */ (event.target).value) }, themes.map(([value, word]) => option(value, t(word), theme())))),
    h('div', { class: 'field' }, h('label', { for: 'language' }, t('language')), h('select', { id: 'language', onchange: language }, option('', t('languageSystem'), chosen()), Object.entries(LANGUAGES).map(([value, label]) => option(value, label, chosen())))),
  );
}

// The page of somebody who is not signed in: sign in, or sign up with the rules in view.

import { t } from '../i18n/index.js';
import * as session from '../session.js';
import { state } from '../store.js';
import { fill, h } from './dom.js';
import { field, form } from './forms.js';
import { logo } from './logo.js';

/** @import { User } from '../types.js' */

/**
 * @param {HTMLElement} root @param {(user: User) => void} entered @param {string} [notice] why somebody is here
 */
export function welcome(root, entered, notice) {
  let isNew = false;
  const panel = h('div', { class: 'welcome-panel' });
  document.title = 'Parlor';
  fill(
    root,
    h(
      'main',
      { class: 'welcome' },
      h('div', { class: 'welcome-brand' }, logo(), h('h1', null, 'Parlor'), h('p', null, t('tagline'))),
      panel,
    ),
  );
  show();

  function show() {
    const known = session.remembered();
    const username = field(
      t('username'),
      { autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false', required: true, minlength: isNew ? 3 : false, maxlength: 64, value: isNew ? '' : (known?.username ?? ''), dir: 'auto' },
      isNew ? t('usernameRules') : undefined,
    );
    const password = field(
      t('password'),
      { type: 'password', autocomplete: isNew ? 'new-password' : 'current-password', required: true, minlength: isNew ? 8 : false },
      isNew ? t('passwordRules') : undefined,
    );
    const firstName = field(t('yourName'), { autocomplete: 'name', maxlength: 200, dir: 'auto' }, t('yourNameHint'));
    const name = username.input;
    const done = async () => {
      const account = { username: name.value.trim(), password: password.input.value };
      const shown = firstName.input.value.trim();
      entered(isNew ? await session.signUp({ ...account, ...(shown && { firstName: shown }) }) : await session.signIn(account.username, account.password));
    };
    const other = h('button', { type: 'button', class: 'link', onclick: turn }, isNew ? t('signIn') : t('signUp'));
    fill(
      panel,
      h('h2', null, isNew ? t('signUp') : t('signIn')),
      notice && h('p', { class: 'notice', role: 'status' }, notice),
      form({
        fields: isNew ? { username, firstName, password } : { username, password },
        action: isNew ? t('signUp') : t('signIn'),
        class: 'wide',
        done,
      }),
      state.facts.signUp
        ? h('p', { class: 'welcome-other' }, isNew ? t('haveAccount') : t('noAccount'), ' ', other)
        : h('p', { class: 'welcome-other' }, t('signUpOff')),
    );
    (name.value ? password.input : name).focus();
  }

  function turn() {
    isNew = !isNew;
    notice = undefined;
    show();
  }
}

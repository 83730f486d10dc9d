// Dialogs about groups: make one, join one.

import { ask } from '../connection.js';
import { t } from '../i18n/index.js';
import { joined } from '../sync.js';
import { dialog, field, form } from './forms.js';
import { peoplePicker } from './picker.js';

/** @import { Group } from '../types.js' */

/** @param {Group} group */
const show = (group) => {
  joined(group);
  location.hash = `#/g/${group.groupId}`;
};

export function newGroup() {
  dialog(t('newGroup'), (close) => {
    const groupName = field(t('groupName'), { required: true, maxlength: 100, autocomplete: 'off', dir: 'auto' });
    const password = field(t('groupPassword'), { type: 'password', autocomplete: 'new-password' }, t('groupPasswordHint'));
    const picker = peoplePicker(t('addPeople'));
    const users = { element: picker.element, input: picker.input, complain: picker.complain };
    const done = async () => {
      const secret = password.input.value;
      const draft = { groupName: groupName.input.value.trim(), users: picker.chosen(), ...(secret && { password: secret }) };
      show(await ask('createGroup', draft));
      close();
    };
    return [form({ fields: { groupName, users, password }, action: t('makeGroup'), class: 'wide', done })];
  });
}

/** Joins a group, after its password where it has one. @param {Group} group */
export function join(group) {
  const enter = async (/** @type {string} */ password) =>
    show(await ask('joinGroup', { groupId: group.groupId, ...(password && { password }) }));
  dialog(t('joinNamed', { name: group.groupName }), (close) => {
    const password = field(t('password'), { type: 'password', autocomplete: 'off', required: true }, t('joinHint'));
    const done = async () => {
      await enter(password.input.value);
      close();
    };
    return [form({ fields: group.hasPassword ? { password } : {}, action: t('join'), class: 'wide', done })];
  });
}

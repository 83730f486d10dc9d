// The dialog about a group: its members, and what its owner and admins may change.

import { ask } from '../connection.js';
import { t } from '../i18n/index.js';
import { areMembers, meetAll } from '../people.js';
import { call } from '../session.js';
import { changed, nameOf, on, placeOf, state } from '../store.js';
import { personAvatar } from './avatar.js';
import { presence } from './dates.js';
import { fill, h, iconButton } from './dom.js';
import { confirm, dialog, field, form, sentence, skeleton } from './forms.js';
import { ownSettings } from './own-settings.js';
import { peoplePicker } from './picker.js';
import { pinnedList } from './pinned.js';

/** @import { Member } from '../types.js' */

/** The members of a group, up to 1,000. @param {string} key @returns {Promise<Member[]>} */
export async function membersOf(key) {
  /** @type {Member[]} */
  const members = [];
  for (let next = ''; members.length < 1000; ) {
    const page = await call('GET', `/api/rooms/${key.slice(2)}/members?limit=200${next && `&after=${encodeURIComponent(next)}`}`);
    members.push(...page.members);
    next = page.next;
    if (!next) break;
  }
  meetAll(members);
  areMembers(placeOf(key), members);
  changed(`timeline ${key}`);
  return members;
}

/** @param {string} key */
export function details(key) {
  const groupId = key.slice(2);
  const gone = new AbortController();
  const body = h('div', null, skeleton(4));
  const box = dialog(placeOf(key).group?.groupName ?? t('group'), (close) => [h('section', { class: 'dialog-part' }, h('h3', null, t('pinnedMessages')), pinnedList(key, close, gone.signal)), ownSettings(key, close, gone.signal), body]);
  box.addEventListener('close', () => gone.abort());
  /** @type {Member[]} */
  let listed = [];
  let shown = '';
  on('members', () => void load(), gone.signal);
  on('people', show, gone.signal);
  void load();

  async function load() {
    try {
      listed = await membersOf(key);
      show();
    } catch (error) {
      fill(body, h('p', { class: 'form-error', role: 'alert' }, sentence(error)));
    }
  }

  function show() {
    if (listed.length === 0) return;
    const members = listed.map((member) => ({ ...member, ...state.people.get(member.username) }));
    // A field that somebody is typing into stays.
    const now = JSON.stringify(members.map(({ username, role, isOnline }) => [username, role, isOnline]));
    if (gone.signal.aborted || now === shown) return;
    shown = now;
    const role = members.find(({ username }) => username === state.me.username)?.role ?? 'member';
    const mayManage = role !== 'member';
    fill(
      body,
      mayManage && adding(new Set(members.map(({ username }) => username))),
      h('h3', null, t('members', { count: placeOf(key).group?.memberCount ?? members.length })),
      h('ul', { class: 'rows plain' }, members.map((member) => row(member, role))),
      mayManage && changing(),
      h(
        'div',
        { class: 'form-actions spread' },
        role === 'owner'
          ? h('button', { class: 'button danger', onclick: remove }, t('deleteGroup'))
          : h('button', { class: 'button danger', onclick: leave }, t('leaveGroup')),
      ),
    );
  }

  /** @param {Member} member @param {Member['role']} own */
  function row(member, own) {
    const name = nameOf(member.username);
    const mayRemove = member.role !== 'owner' && member.username !== state.me.username && (own === 'owner' || (own === 'admin' && member.role === 'member'));
    const put = () => confirm(t('removeNamed', { name }), t('removeText'), t('remove'), () => ask('removeMember', { groupId, username: member.username }));
    return h(
      'li',
      { class: 'row' },
      personAvatar(member.username, name),
      h('span', { class: 'row-text' }, h('span', { class: 'row-title', dir: 'auto' }, name), h('span', { class: 'row-last' }, presence(member))),
      member.role !== 'member' && h('span', { class: 'pill quiet' }, t(member.role)),
      mayRemove && iconButton('close', t('removeNamed', { name }), put),
    );
  }

  /** @param {Set<string>} members */
  function adding(members) {
    const picker = peoplePicker(t('addPeople'), members);
    const done = async () => {
      if (picker.chosen().length > 0) await ask('addMembers', { groupId, users: picker.chosen() });
    };
    return form({ fields: { users: picker }, action: t('add'), class: 'inline', done });
  }

  function changing() {
    const group = placeOf(key).group;
    const groupName = field(t('groupName'), { required: true, maxlength: 100, value: group?.groupName ?? '', dir: 'auto' });
    const password = field(t('groupPassword'), { type: 'password', autocomplete: 'new-password' }, t(group?.hasPassword ? 'keepPassword' : 'groupPasswordHint'));
    const done = async () => {
      const secret = password.input.value;
      await ask('updateGroup', { groupId, groupName: groupName.input.value.trim(), ...(secret && { password: secret }) });
      box.close();
    };
    const open = async () => {
      await ask('updateGroup', { groupId, password: null });
      box.close();
    };
    const opening = group?.hasPassword && h('button', { type: 'button', class: 'button', onclick: () => void open() }, t('removePassword'));
    const tells = h('input', { type: 'checkbox', checked: group?.systemMessages === true, onchange: () => void ask('updateGroup', { groupId, systemMessages: tells.checked }).catch(() => (tells.checked = !tells.checked)) });
    const telling = h('label', { class: 'choice' }, h('span', null, t('systemMessages')), tells);
    return h('details', { class: 'more' }, h('summary', null, t('changeGroup')), telling, form({ fields: { groupName, password }, action: t('save'), more: opening ? [opening] : [], done }));
  }

  const left = () => {
    box.close();
    location.hash = '#/';
  };

  function leave() {
    confirm(t('leaveGroup'), t('leaveText'), t('leaveGroup'), async () => {
      await ask('leaveGroup', { groupId });
      left();
    });
  }

  function remove() {
    confirm(t('deleteGroup'), t('deleteText'), t('deleteGroup'), async () => {
      await ask('deleteGroup', { groupId });
      left();
    });
  }
}

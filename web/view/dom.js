// Elements without a framework.

/** @typedef {Node | string | number | false | null | undefined} Child */

/**
 * An element. Properties that begin with `on` are listeners, `class` and names with a dash are attributes, `false`
 * and `undefined` leave one out.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {Record<string, any> | null} [properties] @param {(Child | Child[])[]} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  set(element, properties ?? {});
  element.append(...nodes(children));
  return element;
}

/** @param {HTMLElement} element @param {Record<string, any>} properties */
export function set(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === false || value === undefined || value === null) element.removeAttribute(name);
    else if (name === 'value') /** @type {HTMLInputElement} */ (element).value = value;
    else element.setAttribute(name, value === true ? '' : String(value));
  }
}

/** @param {(Child | Child[])[]} children @returns {(Node | string)[]} */
function nodes(children) {
  const some = /** @type {Child[]} */ (children.flat()).filter((child) => child !== false && child !== null && child !== undefined);
  return some.map((child) => (typeof child === 'number' ? String(child) : /** @type {Node | string} */ (child)));
}

/** Replaces what is in an element. @param {Element} element @param {(Child | Child[])[]} children */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
}

/** Sets a text only if it differs, so that screen readers are not told twice. @param {Element} element @param {string} text */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const PATHS = {
  back: 'M15 5l-7 7 7 7',
  chats: 'M4 5h16v11H9l-5 4z',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  clock: 'M12 4a8 8 0 100 16 8 8 0 000-16zM12 8v4.5l3 2',
  close: 'M6 6l12 12M18 6L6 18',
  double: 'M2 12.5l4.5 4.5L15 8M11 16l1 1L20.5 8',
  door: 'M6 4h12v16H6zM14.5 12h.01M3 20h18',
  down: 'M6 9l6 6 6-6',
  eye: 'M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9a3 3 0 100 6 3 3 0 000-6z',
  gear: 'M4 7h9M19 7h1M16 4.5v5M4 17h1M11 17h9M8 14.5v5',
  groups: 'M9 11a3 3 0 100-6 3 3 0 000 6zM3.5 19c0-3 2.5-5 5.5-5s5.5 2 5.5 5M16 11a2.5 2.5 0 10-1-4.8M17 14c2.2.4 3.5 2.2 3.5 4.5',
  info: 'M12 4a8 8 0 100 16 8 8 0 000-16zM12 11.5v4.5M12 8h.01',
  lock: 'M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 017 0v3',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  mute: 'M6 16.500V11a6 6 0 0112 0v5.500l1.500 1.500H4.500zM10 20.500h4M4 4l16 16',
  people: 'M12 12a4 4 0 100-8 4 4 0 000 8zM4.5 20c.6-3.6 3.6-5.5 7.5-5.5s6.900 1.900 7.500 5.500',
  pin: 'M9 4h6l-1 6 3 3.500H7L10 10zM12 13.500V20',
  plus: 'M12 5v14M5 12h14',
  search: 'M11 4.500a6.500 6.500 0 100 13 6.500 6.500 0 000-13zM16 16l4 4',
  send: 'M4 12l16-7.500-5.500 15.500-3-6.500zM11.500 13.500L20 4.500',
  thread: 'M5 5v9a3 3 0 003 3h9M14 13.500l3.500 3.500-3.500 3.500M10 6h9M10 10.500h6',
  warning: 'M12 4l9 16H3zM12 10v4.500M12 17.300h.01',
};

/** A drawing that says nothing to a screen reader. @param {keyof typeof PATHS} name */
export function icon(name) {
  const namespace = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(namespace, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('class', `icon icon-${name}`);
  const path = document.createElementNS(namespace, 'path');
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}

/** @param {keyof typeof PATHS} name @param {string} label @param {() => void} onclick @param {Record<string, any>} [more] */
export function iconButton(name, label, onclick, more) {
  return h('button', { type: 'button', class: 'icon-button', 'aria-label': label, title: label, onclick, ...more }, icon(name));
}

// On a screen that is touched, a long press on a message opens its menu.

/** How long a press has to be, and how far a finger may move meanwhile, in pixels. */
const LONG = 450;
const STILL = 10;

/** @param {HTMLElement} list of messages */
export function opensMenus(list) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let [x, y] = [0, 0];
  const stop = () => clearTimeout(timer);
  list.addEventListener('pointerdown', (event) => {
    stop();
    const target = /** @type {Element} */ (event.target);
    const menu = /** @type {HTMLDetailsElement | null | undefined} */ (target.closest('.message')?.querySelector('.message-menu'));
    if (event.pointerType !== 'touch' || !menu || target.closest('a, button, .message-menu')) return;
    [x, y] = [event.clientX, event.clientY];
    timer = setTimeout(() => (menu.open = true), LONG);
  });
  list.addEventListener('pointermove', (event) => Math.hypot(event.clientX - x, event.clientY - y) > STILL && stop());
  for (const name of ['pointerup', 'pointercancel']) list.addEventListener(name, stop);
  // The browser's own menu would cover it.
  list.addEventListener('contextmenu', (event) => list.querySelector('.message-menu[open]') && event.preventDefault());
}

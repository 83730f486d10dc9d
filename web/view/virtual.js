// A list of any length of which only what can be seen is in the page. What is above the view stays where it is when
// items come, go or turn out to be taller than assumed.

/** How many pixels beyond the view are rendered. */
const AROUND = 800;
/** How near the end counts as the end. */
const NEAR = 40;

/**
 * @template T
 * @typedef {object} Options
 * @property {HTMLElement} scroller
 * @property {HTMLElement} list inside the scroller
 * @property {(item: T) => string} key
 * @property {(item: T) => string} version changes when the item has to be rendered again
 * @property {(item: T, index: number) => HTMLElement} render
 * @property {(item: T) => number} estimate pixels
 * @property {boolean} [sticks] whether a view at the end stays there when items come
 */

/** @template T */
export class VirtualList {
  /** @type {T[]} */
  #items = [];
  /** Measured heights. @type {Map<string, number>} */
  #heights = new Map();
  /** Where each item begins; one more for the end. @type {Float64Array} */
  #starts = new Float64Array(1);
  /** What is in the page. @type {Map<string, { element: HTMLElement, version: string }>} */
  #shown = new Map();
  #width = 0;
  #frame = 0;
  #isAtEnd = true;
  /** What stays where it is until the user scrolls. @type {{ key: string, offset: number } | null} */
  #held = null;
  /** Where the view was put last. */
  #top = 0;
  /** @type {Options<T>} */
  #options;
  #observer;

  /** @param {Options<T>} options */
  constructor(options) {
    this.#options = options;
    const { scroller } = options;
    scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.#observer = new ResizeObserver(() => this.#resized());
    this.#observer.observe(scroller);
  }

  get isAtEnd() {
    return this.#isAtEnd;
  }

  /** Every item from now on. @param {T[]} items */
  set(items) {
    const stays = this.#options.sticks && this.#isAtEnd && !this.#held;
    const anchor = stays ? null : this.#anchor();
    this.#items = items;
    this.#layout(anchor, Boolean(stays));
  }

  scrollToEnd() {
    this.#held = null;
    this.#layout(null, true);
  }

  /** Shows an item near the top of the view, and keeps it there until the user scrolls. @param {string} key */
  scrollTo(key) {
    const index = this.#items.findIndex((item) => this.#options.key(item) === key);
    if (index < 0) return;
    this.#held = { key, offset: -Math.min(120, this.#options.scroller.clientHeight / 4) };
    this.#layout(this.#held, false);
  }

  destroy() {
    cancelAnimationFrame(this.#frame);
    this.#observer.disconnect();
  }

  #scrolled() {
    const { scroller } = this.#options;
    if (Math.abs(scroller.scrollTop - this.#top) > 1) this.#held = null;
    this.#isAtEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR;
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#layout(this.#anchor(), false));
  }

  #resized() {
    const { scroller, sticks } = this.#options;
    const stays = Boolean(sticks && this.#isAtEnd && !this.#held);
    if (scroller.clientWidth !== this.#width) this.#heights.clear();
    this.#width = scroller.clientWidth;
    this.#layout(stays ? null : this.#anchor(), stays);
  }

  /** The first item in the view, and how far it is scrolled out. */
  #anchor() {
    const { scroller, key } = this.#options;
    if (this.#held) return this.#held;
    const index = this.#at(scroller.scrollTop);
    const item = this.#items[index];
    return item === undefined ? null : { key: key(item), offset: scroller.scrollTop - this.#starts[index] };
  }

  /** The item at a height. @param {number} top */
  #at(top) {
    let [low, high] = [0, Math.max(0, this.#items.length - 1)];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle] <= top) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #place() {
    const { key, estimate } = this.#options;
    this.#starts = new Float64Array(this.#items.length + 1);
    this.#items.forEach((item, index) => {
      this.#starts[index + 1] = this.#starts[index] + (this.#heights.get(key(item)) ?? estimate(item));
    });
  }

  /** @param {{ key: string, offset: number } | null} anchor @param {boolean} toEnd */
  #layout(anchor, toEnd) {
    const { scroller, list, key } = this.#options;
    // Heights are known only after rendering, which may bring other items into the view.
    for (let pass = 0; pass < 4; pass += 1) {
      this.#place();
      const total = this.#starts[this.#items.length];
      const index = anchor ? this.#items.findIndex((item) => key(item) === anchor.key) : -1;
      let top = scroller.scrollTop;
      if (toEnd) top = Math.max(0, total - scroller.clientHeight);
      else if (index >= 0) top = this.#starts[index] + (anchor?.offset ?? 0);
      const first = this.#at(Math.max(0, top - AROUND));
      const end = Math.min(this.#items.length, this.#at(top + scroller.clientHeight + AROUND) + 1);
      list.style.paddingBlockStart = `${this.#starts[first]}px`;
      list.style.paddingBlockEnd = `${total - this.#starts[end]}px`;
      this.#render(first, end);
      const isMeasured = this.#measure(first, end);
      const limit = scroller.scrollHeight - scroller.clientHeight;
      const wanted = toEnd ? limit : Math.min(top, limit);
      if (Math.abs(scroller.scrollTop - wanted) > 0.5) scroller.scrollTop = wanted;
      if (isMeasured) break;
    }
    this.#top = scroller.scrollTop;
    this.#isAtEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR;
  }

  /** @param {number} first @param {number} end */
  #render(first, end) {
    const { list, key, version, render } = this.#options;
    const names = new Set(this.#items.slice(first, end).map(key));
    for (const [name, { element }] of this.#shown) if (!names.has(name)) element.remove();
    const shown = new Map();
    // What stays is not moved: it would lose the focus, and cost time.
    /** @type {ChildNode | null} */
    let next = list.firstChild;
    for (let index = first; index < end; index += 1) {
      const item = this.#items[index];
      const [name, wanted] = [key(item), version(item)];
      let entry = this.#shown.get(name);
      if (entry?.version !== wanted) {
        const element = render(item, index);
        if (entry) {
          if (next === entry.element) next = element;
          entry.element.replaceWith(element);
        }
        entry = { element, version: wanted };
      }
      entry.element.setAttribute('aria-setsize', String(this.#items.length));
      entry.element.setAttribute('aria-posinset', String(index + 1));
      shown.set(name, entry);
      if (next === entry.element) next = next.nextSibling;
      else list.insertBefore(entry.element, next);
    }
    this.#shown = shown;
  }

  /** Whether everything rendered is as tall as assumed. @param {number} first @param {number} end */
  #measure(first, end) {
    const { key } = this.#options;
    let isRight = true;
    for (let index = first; index < end; index += 1) {
      const name = key(this.#items[index]);
      const height = this.#shown.get(name)?.element.getBoundingClientRect().height ?? 0;
      const assumed = this.#starts[index + 1] - this.#starts[index];
      if (height > 0 && Math.abs(height - assumed) > 0.5) isRight = false;
      if (height > 0) this.#heights.set(name, height);
    }
    return isRight;
  }
}

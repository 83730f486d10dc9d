// The types, as the TypeScript compiler of a front end checks them: against the declarations that this program prints.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const root = path('../../');

/** Runs the compiler, and expects it to say nothing. */
function compiles(project) {
  const checked = spawnSync(process.execPath, [path('node_modules/typescript/bin/tsc'), '-p', project], { encoding: 'utf8' });
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
}

/** What the program prints, which `contract/parlor.d.ts` has to be. */
function printed() {
  const { stdout, stderr, status } = spawnSync(process.env.PARLOR_BIN, ['schema', 'typescript'], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout;
}

test('the declarations in the repository are what the program prints', async () => {
  assert.equal(await readFile(`${root}contract/parlor.d.ts`, 'utf8'), printed());
});

test('every event can be used in every way, and every mistake is one', () => {
  compiles(path('tsconfig.json'));
});

test('a mistake that is none any more is noticed', async (t) => {
  const folder = path('.mistake/');
  t.after(() => rm(folder, { recursive: true, force: true }));
  await mkdir(folder, { recursive: true });
  const every = await readFile(path('types/every-event.ts'), 'utf8');
  const fewer = every.replace("{ content: 'hi' }, () => {}", "{ receiver: 'bob', content: 'hi' }, () => {}");
  assert.notEqual(fewer, every);
  await writeFile(`${folder}every-event.ts`, fewer);
  await project(folder, ['*.ts']);
  assert.throws(() => compiles(folder), /every-event\.ts.*Unused '@ts-expect-error'/s);
});

for (const document of ['README.md', 'docs/events.md']) {
  test(`the TypeScript in ${document} has the right types`, async (t) => {
    const folder = path(`.${document.replace(/\W/g, '-')}/`);
    t.after(() => rm(folder, { recursive: true, force: true }));
    await mkdir(folder, { recursive: true });
    const text = await readFile(root + document, 'utf8');
    const blocks = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code);
    assert.ok(blocks.length > 0, 'it shows how');
    await writeFile(`${folder}parlor.d.ts`, printed());
    await Promise.all(blocks.map((code, number) => writeFile(`${folder}block-${number}.ts`, `${code}\nexport {};\n`)));
    await project(folder, ['*.ts']);
    compiles(folder);
  });
}

test('the examples have the right types', () => {
  compiles(path('tsconfig.examples.json'));
});

test('a field that the server renames breaks the build of the example', async (t) => {
  const folder = path('.renamed/');
  t.after(() => rm(folder, { recursive: true, force: true }));
  await mkdir(`${folder}contract`, { recursive: true });
  await mkdir(`${folder}examples/terminal-chat`, { recursive: true });
  const example = await readFile(`${root}examples/terminal-chat/chat.mjs`, 'utf8');
  await writeFile(`${folder}examples/terminal-chat/chat.mjs`, example);
  await writeFile(`${folder}tsconfig.json`, JSON.stringify({ extends: '../tsconfig.examples.json', include: ['examples/*/*.mjs'] }));
  let declarations = printed();
  for (const field of ['roomId', 'groupName', 'online']) {
    assert.ok(declarations.includes(`  ${field}: `), field);
    declarations = declarations.replaceAll(`  ${field}: `, `  ${field}Renamed: `);
  }
  await writeFile(`${folder}contract/parlor.d.ts`, declarations);
  assert.throws(
    () => compiles(folder),
    ({ message }) => ['roomId', 'groupName', 'online'].every((field) => new RegExp(`chat\\.mjs.*error TS\\d+: .*'${field}'`).test(message)),
  );
});

test('the page at /docs/events has the right types', () => {
  compiles(path('tsconfig.page.json'));
});

/** A folder of its own for the compiler, with the settings of this one. */
async function project(folder, include) {
  await writeFile(`${folder}tsconfig.json`, JSON.stringify({ extends: '../tsconfig.json', include }));
}

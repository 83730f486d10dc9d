// The settings and commands of docs/dialects.md, as they are written there.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { Server } from './harness.mjs';

const document = await readFile(new URL('../../docs/dialects.md', import.meta.url), 'utf8');
const blocks = (language) =>
  Array.from(document.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, 'gm')), ([, text]) => text);

/** Runs `parlor` with these settings and nothing else. */
function parlor(args, settings = {}) {
  const env = { PATH: process.env.PATH, ...settings };
  const { status, stdout, stderr } = spawnSync(resolve(process.env.PARLOR_BIN), args, { env, encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

test('the environment variables are settings with which production starts', () => {
  const found = blocks('sh').filter((text) => text.startsWith('PARLOR__'));
  assert.equal(found.length, 2, 'of the Angular app and of the encrypted app');
  for (const text of found) {
    const settings = Object.fromEntries(text.trim().split('\n').map((line) => line.split(/=(.*)/).slice(0, 2)));
    const checked = parlor(['config', 'check', '--mode', 'production'], { ...settings, PARLOR__AUTH__JWT_SECRET: Server.secret });
    assert.deepEqual([checked.status, checked.output.trim()], [0, 'ok'], text);
  }
});

test('the file with an issuer is a configuration, also with its comments switched on', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'parlor-test-'));
  t.after(() => rm(folder, { recursive: true }));
  const [text, ...others] = blocks('toml');
  assert.deepEqual(others, []);
  const file = join(folder, 'parlor.toml');
  const whole = text
    .replaceAll('# jwks_uri = "https://…"', 'jwks_uri = "https://login.example.com/keys"')
    .replaceAll('# username_claim, name_claim, email_claim', 'username_claim = "nickname" #')
    .replaceAll('# algorithms', 'algorithms');
  for (const written of [text, whole]) {
    await writeFile(file, written);
    const checked = parlor(['config', 'check', '--config', file]);
    assert.deepEqual([checked.status, checked.output.trim()], [0, 'ok'], written);
    assert.match(parlor(['config', 'show', '--config', file]).output, /https:\/\/login\.example\.com\//);
  }
});

test('the command that changes a profile changes it, with the token of its user or of an admin', async () => {
  const server = await Server.start();
  const ada = await server.person('ada');
  const [command] = blocks('sh').filter((text) => text.startsWith('curl '));
  const [, method, path] = /^curl -X (\w+) http:\/\/localhost:8087(\S+) -H "Authorization: Bearer \$\(parlor token issue ada\)"/.exec(command);
  const [, type] = /-H 'Content-Type: ([^']+)'/.exec(command);
  const [, body] = /-d '([^']+)'/.exec(command);
  const answer = await server.request(method, path.replace('ada', ada.username), body, {
    authorization: `Bearer ${ada.token}`, 'content-type': type,
  });
  assert.equal(answer.status, 200, answer.text);
  const shown = await server.request('GET', `/api/users/login/${ada.username}`);
  assert.deepEqual({ img: shown.body.img, role: shown.body.role }, JSON.parse(body).profile);
});

// The client itself, as the server hands out the installed package: byte for byte, and it runs.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { Server } from './harness.mjs';

const require = createRequire(import.meta.url);
const manifest = require.resolve('socket.io-client/package.json');
const { version } = require(manifest);
const SCRIPTS = ['socket.io.js', 'socket.io.min.js', 'socket.io.esm.min.js'];

const server = await Server.start({ settings: { SERVER__CLIENT_FOLDER: dirname(manifest) } });
const get = (file, headers) => server.request('GET', `/socket.io/${file}`, undefined, headers);

test('every build and every map is what npm installed', async () => {
  for (const file of SCRIPTS.flatMap((script) => [script, `${script}.map`])) {
    const answer = await get(file);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.text, await readFile(join(dirname(manifest), 'dist', file), 'utf8'), file);
    assert.equal(answer.headers.get('etag'), `"${version}"`);
    const again = await get(file, { 'if-none-match': `W/"${version}"` });
    assert.equal(again.status, 304);
  }
});

test('the map that a script names is served beside it', async () => {
  for (const script of SCRIPTS) {
    const [, map] = /\/\/# sourceMappingURL=(\S+)\s*$/.exec((await get(script)).text);
    assert.equal((await get(map)).body.version, 3, map);
  }
});

test('a page finds `io` where it expects it', async () => {
  for (const script of ['socket.io.js', 'socket.io.min.js']) {
    const page = { setTimeout, clearTimeout, URL, URLSearchParams };
    page.window = page.self = page;
    runInNewContext((await get(script)).text, page, { filename: script });
    assert.equal(typeof page.io, 'function', script);
    assert.equal(page.io('http://127.0.0.1:1/chat', { autoConnect: false }).nsp, '/chat', script);
  }
});

test('without the package, the answer says what to run', async (t) => {
  const bare = await Server.start({ t });
  const answer = await bare.request('GET', '/socket.io/socket.io.js');
  assert.equal(answer.status, 404);
  assert.match(answer.text, /npm install socket\.io-client/);
  await bare.logs(/socket\.io-client cannot be served/);
  const alice = await bare.person('alice');
  await alice.connect();
});

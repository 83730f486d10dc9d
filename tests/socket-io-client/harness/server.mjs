// The real binary, in an empty directory, on a port of its own.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, afterEach } from 'node:test';
import { Connection } from './connection.mjs';
import { freshDatabase } from './database.mjs';
import { request } from './http.mjs';
import { Person } from './person.mjs';
import { until } from './waiting.mjs';
import { Proxy } from './proxy.mjs';

const START_LIMIT = 60_000;
const STOP_LIMIT = 60_000;

export class Server {
  /** The key its tokens are signed with; some tests forge. */
  static secret = 'a-secret-for-tests-only-which-is-long-enough';

  url = null;
  /** Every address that it listens on, in the order of the setting; `url` is the first. */
  urls = [];
  output = '';
  connections = new Set();
  #child = null;
  #exited = null;
  #database = null;
  #directory = null;
  #settings;
  #mode;
  #proxy = null;

  /**
   * Starts a server. At the top of a file it serves the whole file; with `{ t }` just that test.
   * `settings` are further environment variables without the PARLOR__ in front, such as
   * `{ AUTH__TOKEN_TTL: '5s' }`.
   */
  static async start({ t, port = 0, mode = 'development', settings = {} } = {}) {
    const server = new Server({ SERVER__LISTEN: `127.0.0.1:${port}`, ...settings }, mode);
    if (t) t.after(() => server.close());
    else {
      after(() => server.close());
      afterEach(() => server.hangUp());
    }
    server.#directory = await mkdtemp(join(tmpdir(), 'parlor-test-'));
    server.#database = await freshDatabase();
    server.#proxy = await Proxy.wanted();
    await server.run();
    return server;
  }

  constructor(settings, mode) {
    this.#settings = settings;
    this.#mode = mode;
  }

  /** Runs the binary on whatever data there is, and waits until it listens. */
  async run(changes = {}) {
    assert.ok(process.env.PARLOR_BIN, 'PARLOR_BIN must hold the path of the parlor binary');
    assert.equal(this.#child, null, 'the server runs already');
    Object.assign(this.#settings, changes);
    const child = spawn(resolve(process.env.PARLOR_BIN), ['serve'], {
      cwd: this.#directory,
      env: this.#environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#exited = new Promise((ended) => {
      child.once('error', (error) => ended({ code: null, signal: null, error }));
      child.once('exit', (code, signal) => ended({ code, signal }));
    });
    this.urls = await this.#listening(child);
    this.url = (await this.#proxy?.leadsTo(this.urls[0])) ?? this.urls[0];
  }

  /** Runs another command of the binary on the same data, such as `commands('user', 'promote', 'ada')`. */
  async commands(...command) {
    const child = spawn(resolve(process.env.PARLOR_BIN), command, { cwd: this.#directory, env: this.#environment(), stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
    const code = await new Promise((ended) => child.once('close', ended));
    assert.equal(code, 0, `${command.join(' ')}: ${output}`);
  }

  /** SIGTERM, as an operator does it; the server has to end by itself and say that all is well. */
  async stop() {
    const child = this.#child;
    if (!child) return;
    this.#child = null;
    child.kill('SIGTERM');
    const ended = await Promise.race([this.#exited, nothingAfter(STOP_LIMIT)]);
    if (!ended) child.kill('SIGKILL');
    assert.ok(ended, `the server was still there ${STOP_LIMIT} ms after SIGTERM${this.#lastWords()}`);
    assert.deepEqual(ended, { code: 0, signal: null }, `the server ended badly${this.#lastWords()}`);
  }

  /** SIGKILL: a power cut. */
  async crash() {
    const child = this.#child;
    this.#child = null;
    child.kill('SIGKILL');
    await this.#exited;
  }

  async restart(changes) {
    await this.stop();
    await this.run(changes);
  }

  async close() {
    this.hangUp();
    try {
      await this.stop();
    } finally {
      await this.#proxy?.stop();
      await this.#database?.drop();
      if (this.#directory) await rm(this.#directory, { recursive: true, force: true });
    }
  }

  /** Closes every connection that was opened through this object. */
  hangUp() {
    for (const connection of this.connections) connection.close();
    this.connections.clear();
  }

  /** A new user who has signed up and logged in. The username starts with `name` and is unique. */
  async person(name, details = {}) {
    const person = new Person(this, `${name}${randomBytes(4).toString('hex')}`);
    await person.signsUp(details);
    await person.logsIn();
    return person;
  }

  people(...names) {
    return Promise.all(names.map((name) => this.person(name)));
  }

  /** A connection with exactly these socket.io-client options and no credential but what they hold. */
  dial(options = {}, name = 'somebody') {
    const { at = this.url, namespace = '/chat', ...rest } = options;
    const connection = new Connection(at + namespace, rest, name);
    this.connections.add(connection);
    return connection.open();
  }

  /** Connects, expects a refusal, and returns the text of the connect_error. */
  async refuses(options) {
    const connection = this.dial(options);
    const answer = await connection.isAnswered();
    connection.close();
    assert.equal(answer.event, 'connect_error', 'the connection was accepted');
    return answer.data.message;
  }

  /** How many sockets the server knows of: what it has not noticed yet still counts. */
  async connectionCount() {
    const { text } = await this.request('GET', '/metrics');
    return Number(/^parlor_connections (\d+)/m.exec(text)?.[1]);
  }

  /** What matches in the log, once it does: a log comes by another way than the answers, and often later. */
  logs(pattern) {
    return until(`${pattern} in the log`, () => pattern.exec(this.output));
  }

  /** An HTTP request without any credential but those in `headers`. */
  request(method, path, body, headers) {
    return request(this.url, method, path, body, headers);
  }

  #environment() {
    const inherited = Object.entries(process.env).filter(([key]) => !/^(PARLOR|RUST_LOG$|NODE_TEST)/.test(key));
    const settings = {
      DATABASE__URL: this.#database.url,
      DATABASE__AUTO_MIGRATE: 'true',
      AUTH__JWT_SECRET: Server.secret,
      // What one user may ask for within a second or an hour is tested elsewhere.
      LIMITS__REQUESTS_PER_SECOND: '1000000',
      LIMITS__REQUESTS_BURST: '1000000',
      LIMITS__GROUPS_PER_HOUR: '1000000',
      LIMITS__GROUPS_OWNED: '1000000',
      LIMITS__MEMBERS_ADDED_PER_HOUR: '1000000',
      LIMITS__LIST_INTERVAL: '1ms',
      ...this.#proxy?.settings,
      ...this.#settings,
    };
    const { RUST_LOG = process.env.RUST_LOG, ...parlor } = settings;
    return {
      ...Object.fromEntries(inherited),
      PARLOR_MODE: this.#proxy ? 'production' : this.#mode,
      ...Object.fromEntries(Object.entries(parlor).map(([key, value]) => [`PARLOR__${key}`, String(value)])),
      ...(RUST_LOG === undefined ? {} : { RUST_LOG }),
    };
  }

  async #listening(child) {
    const wanted = this.#settings.SERVER__LISTEN.split(',').length;
    let found;
    const listening = new Promise((resolve) => (found = resolve));
    let fresh = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.output += text;
        if (process.env.PARLOR_TEST_LOG) process.stderr.write(text);
        if (!found) return;
        fresh += text.replace(/\x1b\[[0-9;]*m/g, '');
        const urls = Array.from(fresh.matchAll(/listening on (http:\/\/[^\s"',}]+)(?=[\s"',}])/g), ([, url]) => url);
        if (urls.length >= wanted) found = found(urls.map((url) => url.replace(/\/$/, '')));
      });
    }
    const first = await Promise.race([listening, this.#exited, nothingAfter(START_LIMIT)]);
    if (Array.isArray(first)) return first;
    this.#child = null;
    child.kill('SIGKILL');
    const why = first ? `ended at once (${first.error ?? `code ${first.code}, signal ${first.signal}`})` : 'did not say "listening on http://..." as often as it should';
    throw new Error(`${process.env.PARLOR_BIN} serve ${why}${this.#lastWords()}`);
  }

  #lastWords() {
    return `; its last words:\n${this.output.slice(-4_000) || '(none)'}`;
  }
}

/** Nothing, after a while, without keeping the process alive. */
function nothingAfter(ms) {
  return new Promise((passed) => setTimeout(passed, ms).unref());
}

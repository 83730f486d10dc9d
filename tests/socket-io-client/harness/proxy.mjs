// A proxy with TLS between the clients and a server in production mode, with the sample configuration in `deploy/`: if
// PARLOR_TEST_PROXY names one. PARLOR_TEST_PROXY_CERTIFICATE and PARLOR_TEST_PROXY_KEY are files for the name localhost;
// NODE_EXTRA_CA_CERTS has Node trust them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, until } from './waiting.mjs';

const samples = new URL('../../../deploy/', import.meta.url);

/** How each proxy is run: its file, what is changed in it for this machine, and the command. */
const PROXIES = {
  nginx: {
    sample: 'nginx/parlor.conf',
    changes: ({ port, upstream, folder, certificate, key }) => [
      [/^server \{\n {4}listen 80;[^}]*\}/m, ''],
      ['listen 443 ssl http2;', `listen 127.0.0.1:${port} ssl http2;`],
      ['    listen [::]:443 ssl http2;\n', ''],
      ['server_name chat.example.com;', 'server_name localhost;'],
      ['/etc/letsencrypt/live/chat.example.com/fullchain.pem', certificate],
      ['/etc/letsencrypt/live/chat.example.com/privkey.pem', key],
      ['/var/log/nginx/parlor.log', `${folder}/access.log`],
      ['server 127.0.0.1:8087;', `server ${upstream};`],
    ],
    async command({ folder, file }) {
      const main = join(folder, 'nginx.conf');
      const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`);
      const user = process.getuid() === 0 ? 'user root;' : '';
      await writeFile(main, `${user} pid ${folder}/pid; daemon off; error_log ${folder}/error.log;\nevents {}\nhttp { ${places.join(' ')} include ${file}; }\n`);
      return ['nginx', '-e', `${folder}/error.log`, '-c', main];
    },
  },
  haproxy: {
    sample: 'haproxy/haproxy.cfg',
    changes: ({ port, upstream, both }) => [
      ['    bind :80\n', ''],
      ['bind :443', `bind 127.0.0.1:${port}`],
      ['/etc/haproxy/certs/chat.example.com.pem', both],
      ['server parlor 127.0.0.1:8087', `server parlor ${upstream}`],
    ],
    command: ({ file }) => ['haproxy', '-db', '-f', file],
  },
  caddy: {
    sample: 'caddy/Caddyfile',
    changes: ({ certificate, key }) => [
      // Nothing of an authority, and no port but ours.
      ['{$PARLOR_HOST} {', `{\n\tadmin off\n\tauto_https disable_redirects\n}\n\n{$PARLOR_HOST} {\n\ttls ${certificate} ${key}`],
    ],
    command: ({ file }) => ['caddy', 'run', '--config', file, '--adapter', 'caddyfile'],
    env: ({ port, upstream, folder }) => ({ PARLOR_HOST: `https://localhost:${port}`, PARLOR_UPSTREAM: upstream, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }),
  },
};

export class Proxy {
  /** What a server behind it has to know. */
  settings;
  #kind;
  #port;
  #folder;
  #child = null;
  #said = '';

  static async wanted() {
    const name = process.env.PARLOR_TEST_PROXY;
    if (!name) return null;
    const proxy = new Proxy();
    proxy.#kind = PROXIES[name];
    assert.ok(proxy.#kind, `PARLOR_TEST_PROXY is ${name}`);
    proxy.#folder = await mkdtemp(join(tmpdir(), 'parlor-proxy-'));
    proxy.#port = await freePort();
    proxy.settings = {
      SERVER__PUBLIC_URL: `https://localhost:${proxy.#port}`,
      SERVER__TRUSTED_PROXIES: '127.0.0.1',
      TELEMETRY__METRICS: 'same',
    };
    return proxy;
  }

  /** Starts it, or has it lead to another server. Returns its address. */
  async leadsTo(url) {
    await this.#end();
    const folder = this.#folder;
    const [certificate, key] = ['CERTIFICATE', 'KEY'].map((name) => process.env[`PARLOR_TEST_PROXY_${name}`]);
    const both = join(folder, 'both.pem');
    await writeFile(both, (await readFile(certificate, 'utf8')) + (await readFile(key, 'utf8')));
    const place = { port: this.#port, upstream: new URL(url).host, folder, certificate, key, both };
    let text = await readFile(new URL(this.#kind.sample, samples), 'utf8');
    for (const [from, to] of this.#kind.changes(place)) {
      const changed = text.replace(from, to);
      assert.notEqual(changed, text, `${this.#kind.sample} has no ${from}`);
      text = changed;
    }
    const file = join(folder, 'configuration');
    await writeFile(file, text);
    const [command, ...args] = await this.#kind.command({ ...place, file });
    const env = { ...process.env, ...this.#kind.env?.(place) };
    this.#child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let failed = null;
    this.#child.once('error', (error) => (failed = error));
    this.#child.once('exit', (code) => (failed ??= new Error(`${command} ended with ${code}: ${this.#said}`)));
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (part) => (this.#said = (this.#said + part).slice(-4_000)));
    }
    await until(`${command} to listen`, async () => {
      if (failed) throw failed;
      return await listens(this.#port);
    });
    return `https://localhost:${this.#port}`;
  }

  async stop() {
    await this.#end();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #end() {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }
}

function listens(port) {
  return new Promise((resolve) => {
    const line = connect(port, '127.0.0.1');
    line.once('connect', () => { line.destroy(); resolve(true); });
    line.once('error', () => resolve(false));
  });
}

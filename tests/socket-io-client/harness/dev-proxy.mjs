// A front end's proxy that knows no WebSocket: it passes requests on by the beginning of their path, without the headers
// that ask for an upgrade, as nginx does when nobody has told it otherwise.
import { createServer, request } from 'node:http';

const BETWEEN_HOPS = ['connection', 'upgrade', 'keep-alive', 'transfer-encoding'];

export class DevProxy {
  #near = new Set();
  /** The sessions that it has seen, and those whose clients are gone. */
  #sessions = new Set();
  #lost = new Set();
  /** The requests that it has passed on, as `GET /path`. */
  passed = [];
  /** The polls that the server has been sent and has not answered. */
  polls = new Set();

  /** `routes` has an address for each beginning of a path; `/` is for all others. */
  static async to(routes, t) {
    const proxy = new DevProxy();
    const listener = createServer((asked, answer) => proxy.#passes(routes, asked, answer));
    listener.on('connection', (socket) => {
      proxy.#near.add(socket);
      socket.on('close', () => proxy.#near.delete(socket));
    });
    await new Promise((listening) => listener.listen(0, '127.0.0.1', listening));
    proxy.url = `http://127.0.0.1:${listener.address().port}`;
    t.after(() => {
      proxy.losesClients();
      listener.close();
    });
    return proxy;
  }

  /**
   * All clients hang up in the middle of whatever they ask, as a page does that is closed or loaded again. Unlike a
   * program, a page says nothing more then: the client's close packet does not pass.
   */
  losesClients() {
    for (const session of this.#sessions) this.#lost.add(session);
    for (const socket of this.#near) socket.destroy();
  }

  #passes(routes, asked, answer) {
    const session = new URL(asked.url, this.url).searchParams.get('sid');
    if (this.#lost.has(session)) return answer.destroy();
    if (session) this.#sessions.add(session);
    const path = Object.keys(routes).sort().reverse().find((beginning) => asked.url.startsWith(beginning));
    const far = new URL(routes[path]);
    const headers = Object.fromEntries(Object.entries(asked.headers).filter(([name]) => !BETWEEN_HOPS.includes(name)));
    this.passed.push(`${asked.method} ${asked.url}`);
    const passed = request({ host: far.hostname, port: far.port, method: asked.method, path: asked.url, headers });
    passed.on('response', (answered) => {
      answer.writeHead(answered.statusCode, answered.headers);
      answered.pipe(answer);
    });
    passed.on('error', () => answer.destroy());
    const isPoll = asked.method === 'GET' && session && asked.url.includes('transport=polling');
    passed.on('finish', () => isPoll && !answer.closed && this.polls.add(passed));
    // Whoever hangs up hangs up on the server, too.
    answer.on('close', () => {
      this.polls.delete(passed);
      passed.destroy();
    });
    asked.pipe(passed);
  }
}

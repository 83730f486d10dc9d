// A bad telephone line: a TCP proxy in front of a server that can lose what the server says, and break.
// It asks for the server's address at every connection, so it survives a restart on another port.
import { connect, createServer } from 'node:net';

export class Line {
  #pairs = new Set();
  #mute = false;
  #broken = false;
  /** Connections of which only the server's end is left. */
  #halves = new Set();

  static async to(server, t) {
    const line = new Line();
    const listener = createServer((near) => line.#carry(near, server));
    await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
    line.url = `http://127.0.0.1:${listener.address().port}`;
    t.after(() => {
      line.breaks();
      listener.close();
    });
    return line;
  }

  /** From now on nothing that the server says arrives; what the client says still does. */
  losesAnswers() {
    this.#mute = true;
  }

  /** All connections break, and no new one comes about. */
  breaks() {
    this.#broken = true;
    for (const [near, far] of this.#pairs) {
      near.destroy();
      far.destroy();
    }
    for (const far of this.#halves) far.destroy();
    this.#halves.clear();
  }

  /** All connections are lost to the client, and the server cannot notice. */
  losesClients() {
    for (const pair of this.#pairs) {
      this.#pairs.delete(pair);
      this.#halves.add(pair[1]);
      pair[0].destroy();
    }
  }

  works() {
    this.#mute = false;
    this.#broken = false;
  }

  #carry(near, server) {
    if (this.#broken) return near.destroy();
    const far = connect(Number(new URL(server.url).port), '127.0.0.1');
    const pair = [near, far];
    this.#pairs.add(pair);
    for (const [one, other] of [pair, [far, near]]) {
      one.setNoDelay(true);
      one.on('error', () => {});
      one.on('close', () => {
        if (!this.#halves.has(other)) other.destroy();
        this.#pairs.delete(pair);
      });
    }
    near.on('data', (bytes) => far.write(bytes));
    far.on('data', (bytes) => this.#mute || near.write(bytes));
    near.on('end', () => far.end());
    far.on('end', () => near.end());
  }
}

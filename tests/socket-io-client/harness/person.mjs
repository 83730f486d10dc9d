// An account and what its owner does.
import assert from 'node:assert/strict';

export class Person {
  token = null;
  id = null;

  constructor(server, username) {
    this.server = server;
    this.username = username;
    this.password = `the password of ${username}`;
  }

  async signsUp(details = {}) {
    const answer = await this.server.request('POST', '/api/users', {
      username: this.username,
      password: this.password,
      ...details,
    });
    assert.equal(answer.status, 201, `sign-up: ${answer.text}`);
    this.id = answer.body.id;
    return answer.body;
  }

  /** Logs in anew and uses that session from now on. Returns the answer's body. */
  async logsIn() {
    const answer = await this.server.request('POST', '/api/auth/login', {
      username: this.username,
      password: this.password,
    });
    assert.equal(answer.status, 200, `login: ${answer.text}`);
    assert.equal(typeof answer.body.token, 'string', `login gives a token: ${answer.text}`);
    this.token = answer.body.token;
    return answer.body;
  }

  /** A further token of the same session. */
  async refreshesToken(token = this.token) {
    const answer = await this.request('POST', '/api/auth/refresh', undefined, { authorization: `Bearer ${token}` });
    assert.equal(answer.status, 200, `refresh: ${answer.text}`);
    assert.equal(typeof answer.body.token, 'string', `refresh gives a token: ${answer.text}`);
    return answer.body.token;
  }

  async logsOut(token = this.token) {
    const answer = await this.request('POST', '/api/auth/logout', undefined, { authorization: `Bearer ${token}` });
    assert.ok(answer.status === 200 || answer.status === 204, `logout: ${answer.status} ${answer.text}`);
  }

  /** An HTTP request in this person's name. */
  request(method, path, body, headers = {}) {
    return this.server.request(method, path, body, { authorization: `Bearer ${this.token}`, ...headers });
  }

  /**
   * A socket.io-client connection, not waited for. `options` are those of `io()` and
   *   auth: an object is added to `{ token }`; a function or null is taken as it is
   *   acks: what becomes of `response` events that ask for one: true (answer), false (stay silent)
   *   patience: how long an acknowledgement may take
   *   at:   another address than the server's own, such as a Line's
   *   namespace: another one than /chat
   */
  dial({ auth = {}, ...options } = {}) {
    const payload = auth === null || typeof auth === 'function' ? auth : { token: this.token, ...auth };
    return this.server.dial({ ...(payload === null ? {} : { auth: payload }), ...options }, this.username);
  }

  /** The same, connected. */
  async connect(options) {
    const connection = this.dial(options);
    const answer = await connection.isAnswered();
    const { message, description } = answer.data ?? {};
    assert.equal(answer.event, 'connect', `${this.username} was not let in: ${message} ${description ?? ''}`);
    return connection;
  }
}

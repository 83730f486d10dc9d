// The cases of the official test suites of Engine.IO (v4) and Socket.IO (v5), in words of our own. docs/socket-io.md
// says which of them take another form here, and why. The suites are written for a ping interval of 300 ms and a
// timeout of 200 ms. Here, only those cases have such a timeout in which a client is to be late: all others would fail
// on a busy machine. With PARLOR_TEST_OFFICIAL_TIMES=1, all cases have the suites' times.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { Server, until } from './harness.mjs';

const times = (interval, timeout) => ({
  settings: { SERVER__PING_INTERVAL: interval, SERVER__PING_TIMEOUT: timeout },
});
const brisk = await Server.start(times('300ms', '200ms'));
const calm = process.env.PARLOR_TEST_OFFICIAL_TIMES ? brisk : await Server.start();
const patient = process.env.PARLOR_TEST_OFFICIAL_TIMES ? brisk : await Server.start(times('300ms', '20s'));

const SEPARATOR = '\x1e';
const KEYS = ['maxPayload', 'pingInterval', 'pingTimeout', 'sid', 'upgrades'];
const LIST = (id) => `42/chat,${id}["listRooms",{}]`;
const LISTED = (id) => `43/chat,${id}[{"success":true,"response":[]}]`;
const BINARY = '["privateMessage",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]';

// The people of the tests before go offline a little later, and everyone is told.
const isOfOthers = (packet) => packet.startsWith('42/chat,["onlineStatus",');

/** A polling session, one request at a time. */
class Polling {
  static async open(server) {
    const { status, text } = await server.request('GET', '/socket.io/?EIO=4&transport=polling');
    assert.equal(status, 200);
    return Object.assign(new Polling(), { server, sid: JSON.parse(text.slice(1)).sid });
  }

  static async inChat(server) {
    const ada = await server.person('ada');
    const session = await Polling.open(server);
    await session.says(`40/chat,{"token":"${ada.token}"}`);
    assert.match(await session.hears(), /^40\/chat,/);
    return session;
  }

  get path() {
    return `/socket.io/?EIO=4&transport=polling&sid=${this.sid}`;
  }

  polls() {
    return this.server.request('GET', this.path);
  }

  posts(packets) {
    return this.server.request('POST', this.path, packets, { 'content-type': 'text/plain;charset=UTF-8' });
  }

  async hears() {
    for (;;) {
      const { status, text } = await this.polls();
      assert.equal(status, 200, text);
      const rest = text.split('\x1e').filter((packet) => !isOfOthers(packet));
      if (rest.length > 0) return rest.join('\x1e');
    }
  }

  async says(packets) {
    const { status, text } = await this.posts(packets);
    assert.deepEqual([status, text], [200, 'ok']);
  }

  async websocket() {
    const line = new Line(this.server, `EIO=4&transport=websocket&sid=${this.sid}`);
    await line.opened;
    return line;
  }
}

/** A websocket to the engine, which keeps what it receives in order. */
class Line {
  #received = [];
  isClosed = false;

  constructor(server, query) {
    this.socket = new WebSocket(`${server.url.replace('http', 'ws')}/socket.io/?${query}`);
    this.socket.on('error', () => {});
    this.socket.on('message', (data, isBinary) => {
      const packet = isBinary ? data : data.toString();
      if (isBinary || !isOfOthers(packet)) this.#received.push(packet);
    });
    this.socket.on('close', () => (this.isClosed = true));
    this.opened = new Promise((opened) => this.socket.once('open', opened));
    server.connections.add(this);
  }

  static async open(server) {
    const line = new Line(server, 'EIO=4&transport=websocket');
    line.handshake = await line.hears();
    assert.match(line.handshake, /^0\{/);
    return line;
  }

  static async inChat(server) {
    const ada = await server.person('ada');
    const line = await Line.open(server);
    line.says(`40/chat,{"token":"${ada.token}"}`);
    const joined = await line.hears();
    assert.match(joined, /^40\/chat,\{"sid":"[^"]+"\}$/);
    return Object.assign(line, { token: ada.token });
  }

  says(...packets) {
    for (const packet of packets) this.socket.send(packet);
  }

  async hears() {
    await until('a packet', () => this.#received.length > 0);
    return this.#received.shift();
  }

  isOver() {
    return until('the close', () => this.isClosed);
  }

  close() {
    this.socket.close();
  }
}

function assertHandshake(packet, upgrades) {
  const open = JSON.parse(packet.slice(1));
  assert.equal(packet[0], '0');
  assert.deepEqual(Object.keys(open).sort(), KEYS);
  assert.equal(typeof open.sid, 'string');
  assert.deepEqual([open.upgrades, open.pingInterval, open.pingTimeout, open.maxPayload], [upgrades, 300, 200, 1_000_000]);
}

describe('Engine.IO: handshake', () => {
  test('polling opens a session', async () => {
    const { text } = await brisk.request('GET', '/socket.io/?EIO=4&transport=polling');
    assertHandshake(text, ['websocket']);
  });

  test('a websocket opens a session', async () => {
    assertHandshake((await Line.open(brisk)).handshake, []);
  });

  for (const query of ['transport=polling', 'EIO=abc&transport=polling', 'EIO=4', 'EIO=4&transport=abc']) {
    test(`?${query} is refused`, async () => {
      assert.equal((await calm.request('GET', `/socket.io/?${query}`)).status, 400);
    });
  }

  for (const query of ['transport=websocket', 'EIO=abc&transport=websocket', 'EIO=4', 'EIO=4&transport=abc']) {
    test(`a websocket with ?${query} is refused`, async () => {
      const line = new Line(calm, query);
      await line.isOver();
      assert.equal(await Promise.race([line.opened.then(() => 'opened'), 'refused']), 'refused');
    });
  }

  for (const method of ['POST', 'PUT']) {
    test(`${method} opens no session`, async () => {
      assert.equal((await calm.request(method, '/socket.io/?EIO=4&transport=polling')).status, 400);
    });
  }
});

describe('Engine.IO: messages by polling', () => {
  test('one packet in a payload', async () => {
    const session = await Polling.inChat(calm);
    await session.says(LIST(1));
    assert.equal(await session.hears(), LISTED(1));
  });

  test('several packets in a payload', async () => {
    const session = await Polling.inChat(calm);
    await session.says([1, 2, 3].map(LIST).join(SEPARATOR));
    const heard = [];
    while (heard.length < 3) heard.push(...(await session.hears()).split(SEPARATOR));
    assert.deepEqual(heard, [1, 2, 3].map(LISTED));
  });

  test('texts and binary packets in a payload', async () => {
    const session = await Polling.inChat(calm);
    await session.says([`452-/chat,5${BINARY}`, 'bAQID', 'bBAUG'].join(SEPARATOR));
    assert.match(await session.hears(), /^43\/chat,5\[\{"success":false,"error":\{"code":"bad_request"/);
  });

  test('what is no packet ends the session', async () => {
    const session = await Polling.open(calm);
    assert.equal((await session.posts('abc')).status, 400);
    assert.equal((await session.polls()).status, 400);
  });

  test('a second poll at a time ends the session', async () => {
    const session = await Polling.open(calm);
    const first = session.polls();
    const second = await session.polls();
    const { status, text } = await first;
    // Whichever of the two arrives first waits, and is told that the session ends.
    assert.deepEqual([status, second.status].sort(), [200, 400]);
    assert.equal(status === 200 ? text : second.text, '1');
    assert.equal((await session.polls()).status, 400);
  });
});

describe('Engine.IO: messages by websocket', () => {
  test('a text', async () => {
    const line = await Line.inChat(calm);
    line.says(LIST(1));
    assert.equal(await line.hears(), LISTED(1));
  });

  test('binary packets', async () => {
    const line = await Line.inChat(calm);
    line.says(`452-/chat,5${BINARY}`, Uint8Array.from([1, 2, 3]), Uint8Array.from([4, 5, 6]));
    assert.match(await line.hears(), /^43\/chat,5\[\{"success":false,"error":\{"code":"bad_request"/);
  });

  test('what is no packet ends the session', async () => {
    const line = await Line.open(calm);
    line.says('abc');
    await line.isOver();
  });
});

describe('Engine.IO: heartbeat', () => {
  test('by polling, the first ping comes after the interval, and each next one after the answer', async () => {
    const asked = performance.now();
    const session = await Polling.open(patient);
    for (let pings = 1; pings <= 3; pings++) {
      assert.equal(await session.hears(), '2');
      assert.ok(performance.now() - asked >= 300 * pings - 1, `ping ${pings} after ${performance.now() - asked} ms`);
      await session.says('3');
    }
  });

  test('by websocket, the first ping comes after the interval, and each next one after the answer', async () => {
    const asked = performance.now();
    const line = await Line.open(patient);
    for (let pings = 1; pings <= 3; pings++) {
      assert.equal(await line.hears(), '2');
      assert.ok(performance.now() - asked >= 300 * pings - 1, `ping ${pings} after ${performance.now() - asked} ms`);
      line.says('3');
    }
  });

  test('by polling, a ping without an answer ends the session', async () => {
    const asked = performance.now();
    const session = await Polling.open(brisk);
    assert.equal(await session.hears(), '2');
    await until('the end', async () => (await session.polls()).status === 400);
    assert.ok(performance.now() - asked >= 500 - 1, 'there was no time to answer');
    assert.equal((await session.posts('3')).status, 400);
  });

  test('by websocket, a ping without an answer ends the session', async () => {
    const asked = performance.now();
    const line = await Line.open(brisk);
    await line.isOver();
    assert.ok(performance.now() - asked >= 500 - 1, 'there was no time to answer');
    assert.equal(await line.hears(), '2');
  });
});

describe('Engine.IO: close', () => {
  test('a close packet by polling ends the session and its poll', async () => {
    const session = await Polling.open(calm);
    const [polled] = await Promise.all([session.polls(), session.says('1')]);
    // The close may arrive first. There is no session to poll then.
    assert.ok(polled.status === 400 || polled.text === '6', `${polled.status} ${polled.text}`);
    assert.equal((await session.polls()).status, 400);
  });

  test('a close packet by websocket ends the session', async () => {
    const line = await Line.open(calm);
    line.says('1');
    await line.isOver();
  });
});

describe('Engine.IO: upgrade', () => {
  test('a session goes on by websocket, and its poll is answered', async () => {
    const session = await Polling.inChat(calm);
    const polled = session.hears();
    const line = await session.websocket();
    line.says('2probe');
    assert.equal(await line.hears(), '3probe');
    assert.equal(await polled, '6');
    line.says('5', LIST(1));
    assert.equal(await line.hears(), LISTED(1));
  });

  test('a poll while the client tries the websocket is answered soon', async () => {
    const session = await Polling.inChat(calm);
    const line = await session.websocket();
    line.says('2probe');
    assert.equal(await line.hears(), '3probe');
    assert.equal(await session.hears(), '6');
    line.says('5', LIST(1));
    assert.equal(await line.hears(), LISTED(1));
  });

  for (const waits of [true, false]) {
    test(`after it, HTTP is refused, ${waits ? 'with' : 'without'} waiting for the probe's answer`, async () => {
      const session = await Polling.inChat(calm);
      const line = await session.websocket();
      line.says('2probe');
      if (waits) assert.equal(await line.hears(), '3probe');
      line.says('5');
      assert.equal((await session.polls()).status, 400);
      assert.equal((await session.posts(LIST(1))).status, 400);
      line.says(LIST(2));
      if (!waits) assert.equal(await line.hears(), '3probe');
      assert.equal(await line.hears(), LISTED(2));
    });
  }

  test('after it, another websocket is refused', async () => {
    const session = await Polling.inChat(calm);
    const line = await session.websocket();
    line.says('2probe', '5');
    await new Line(calm, `EIO=4&transport=websocket&sid=${session.sid}`).isOver();
    line.says(LIST(1));
    assert.equal(await line.hears(), '3probe');
    assert.equal(await line.hears(), LISTED(1));
  });

  test('a websocket that fails leaves the session to polling, which may try another', async () => {
    const session = await Polling.inChat(calm);
    for (const packets of [[], ['2probe'], ['2probe', LIST(9)], [LIST(9)], ['2'], ['5']]) {
      const line = await session.websocket();
      line.says(...packets);
      if (packets[0] === '2probe') assert.equal(await line.hears(), '3probe');
      line.close();
      await line.isOver();
      await session.says(LIST(1));
      let heard = '6';
      while (heard === '6') heard = await session.hears();
      assert.equal(heard, LISTED(1), JSON.stringify(packets));
    }
    const line = await until('the last one to be forgotten', async () => {
      const line = new Line(calm, `EIO=4&transport=websocket&sid=${session.sid}`);
      return Promise.race([line.opened.then(() => line), line.isOver().then(() => undefined)]);
    });
    line.says('2probe', '5', LIST(2));
    assert.equal(await line.hears(), '3probe');
    assert.equal(await line.hears(), LISTED(2));
  });
});

describe('Socket.IO: connect', () => {
  for (const payload of ['', '{"token":"123"}']) {
    test(`the main namespace refuses ${payload || 'no payload'}`, async () => {
      const line = await Line.open(calm);
      line.says(`40${payload}`);
      assert.equal(await line.hears(), '44{"message":"Not Authorized"}');
    });
  }

  test('the main namespace accepts a payload with a token, and gives a private id with it', async () => {
    const [line, ada] = await Promise.all([Line.open(calm), calm.person('ada')]);
    line.says(`40{"token":"${ada.token}"}`);
    const joined = JSON.parse((await line.hears()).slice(2));
    assert.deepEqual(Object.keys(joined), ['sid', 'pid']);
  });

  test('a custom namespace accepts a client without a payload whose request had the token', async () => {
    const ada = await calm.person('ada');
    const line = new Line(calm, `EIO=4&transport=websocket&token=${ada.token}`);
    await line.hears();
    line.says('40/chat,');
    assert.match(await line.hears(), /^40\/chat,\{"sid":"[^"]+"\}$/);
  });

  test('a custom namespace accepts a payload with a token', async () => {
    await Line.inChat(calm);
  });

  test('an unknown namespace is refused', async () => {
    const line = await Line.open(calm);
    line.says('40/random');
    assert.equal(await line.hears(), '44/random,{"message":"Invalid namespace"}');
  });

  test('what is no packet ends the session', async () => {
    const line = await Line.open(calm);
    line.says('4abc');
    await line.isOver();
  });
});

describe('Socket.IO: disconnect', () => {
  test('a client that leaves the namespace stays connected: the next packet is a ping', async () => {
    const line = await Line.inChat(patient);
    line.says('41/chat,');
    assert.equal(await line.hears(), '2');
  });

  test('a client that leaves one namespace stays in the other', async () => {
    const line = await Line.inChat(calm);
    line.says(`40{"token":"${line.token}"}`);
    assert.match(await line.hears(), /^40\{/);
    line.says('41/chat,', '427["get:rooms"]');
    assert.match(await line.hears(), /^437\[/);
  });
});

describe('Socket.IO: messages', () => {
  test('a text without an acknowledgement', async () => {
    const [line, bob] = await Promise.all([Line.inChat(calm), calm.person('bob')]);
    const laptop = await bob.connect();
    line.says(`42/chat,["privateMessage",{"receiver":"${bob.username}","content":"1 \\"2\\" {3: [true]}"}]`);
    await laptop.seesMessage('1 "2" {3: [true]}');
  });

  test('a text with an acknowledgement', async () => {
    const line = await Line.inChat(calm);
    line.says(LIST(456));
    assert.equal(await line.hears(), LISTED(456));
  });

  for (const packet of ['4abc', '42/chat,{}', '42/chat,abc["listRooms",{}]']) {
    test(`${packet} ends the session`, async () => {
      const line = await Line.inChat(calm);
      line.says(packet);
      await line.isOver();
    });
  }
});

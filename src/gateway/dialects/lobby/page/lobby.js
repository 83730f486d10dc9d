// The lobby page: what others say, what one says oneself, who comes and goes.
(() => {
  'use strict';

  // The token has done its work: the server put it into a cookie that no script can read. In the address it
  // would go into the history, and along with every copy of the link. The empty name stays, because without it
  // the address is another page's.
  const address = new URL(location.href);
  if (address.searchParams.get('jwt')) {
    address.searchParams.set('jwt', '');
    history.replaceState(history.state, '', address);
  }

  const find = (id) => document.getElementById(id);
  const [who, messages, status, form, text, send] =
    ['who', 'messages', 'status', 'form', 'text', 'send'].map(find);
  /** Older lines than this many go, so that a page that is open for days stays quick. */
  const MOST = 1000;

  /** Adds a line, always as text, and returns it. Whoever has scrolled up to read is left there. */
  function add(line, kind) {
    const isAtEnd = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 60;
    const item = document.createElement('li');
    item.textContent = line;
    if (kind) item.classList.add(kind);
    messages.append(item);
    while (messages.childElementCount > MOST) messages.firstElementChild.remove();
    if (isAtEnd || kind === 'own') messages.scrollTop = messages.scrollHeight;
    return item;
  }

  function tell(sentence, isTrouble = false) {
    status.textContent = sentence;
    status.classList.toggle('trouble', isTrouble);
  }

  /** The shortest and the longest pause before another try, in milliseconds. */
  const PAUSE = [500, 5000];
  /** The close code of a login that has ended. */
  const LOGIN_ENDED = 4401;

  /** The same events over a plain WebSocket, for servers without the Socket.IO client. */
  function plain() {
    const handlers = {};
    const waiting = new Map();
    let line;
    let last = 0;
    let pause = PAUSE[0];
    const socket = {
      connected: false,
      active: true,
      on: (event, handler) => (handlers[event] = handler),
      emit(_, content, answered) {
        const id = (last += 1);
        waiting.set(id, answered);
        line.send(JSON.stringify({ event: 'lobbyMessage', data: { content, clientMessageId: `${page} ${id}` }, id }));
      },
    };
    /** Tells this page's own messages from those of the user's other pages. */
    const page = Array.from(crypto.getRandomValues(new Uint32Array(4))).join('-');

    function receive({ event, reply, data }) {
      if (reply !== undefined) {
        waiting.get(reply)?.(data.success ? data.response : { error: data.error });
        waiting.delete(reply);
      } else if (event === 'lobby' && !data.response.clientMessageId?.startsWith(page)) {
        handlers['chat message'](`${data.response.sender} : ${data.response.content}`);
      } else if (event === 'onlineStatus') {
        handlers[data.online ? 'new user' : 'user left'](data.username);
      }
    }

    async function lost(code) {
      const event = socket.connected ? 'disconnect' : 'connect_error';
      socket.connected = false;
      waiting.clear();
      // A browser does not say why it was refused.
      const session = code === LOGIN_ENDED ? { status: 401 } : await fetch('/api/auth/session').catch(() => ({}));
      if (session.status === 401) {
        socket.active = false;
        handlers.connect_error();
        return;
      }
      handlers[event]();
      setTimeout(open, pause * (0.5 + Math.random()));
      pause = Math.min(2 * pause, PAUSE[1]);
    }

    function open() {
      const url = new URL('/ws?catchUp=false&receipts=batched', location.href);
      url.protocol = url.protocol.replace('http', 'ws');
      line = new WebSocket(url);
      line.onopen = () => {
        socket.connected = true;
        pause = PAUSE[0];
        handlers.connect();
      };
      line.onmessage = (message) => receive(JSON.parse(message.data));
      line.onclose = ({ code }) => lost(code);
    }

    // The page sets its handlers first.
    setTimeout(open);
    return socket;
  }

  const socket = typeof io === 'function' ? io() : plain();

  socket.on('connect', () => {
    send.disabled = false;
    tell('Connected');
    showName();
  });

  socket.on('disconnect', () => {
    send.disabled = true;
    // Without `active`, the client does not come back by itself.
    if (socket.active) tell('The connection is lost. Trying again …', true);
    else tell('The server has closed the connection. Reload the page to come back.', true);
  });

  socket.on('connect_error', () => {
    send.disabled = true;
    if (socket.active) tell('The server cannot be reached. Trying again …', true);
    else tell('Your login has ended. Sign in again to go on.', true);
  });

  socket.on('chat message', (line) => add(line));
  socket.on('new user', (name) => add(`${name} has entered the chat`, 'note'));
  socket.on('user left', (name) => add(`${name} has left the chat`, 'note'));

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const message = text.value;
    // What is sent while disconnected would come hours later.
    if (!socket.connected || message.trim() === '') return;
    const line = add(`You: ${message}`, 'own');
    text.value = '';
    text.focus();
    socket.emit('chat message', message, (answer) => {
      if (!answer || !answer.error) return;
      line.classList.add('unsent');
      tell(`Not sent: ${answer.error.message}`, true);
    });
  });

  /** Whoever made the link chose the account: that is not to go unnoticed. */
  async function showName() {
    try {
      const answer = await fetch('/api/auth/session');
      if (!answer.ok) return;
      const { user } = await answer.json();
      who.textContent = `Signed in as ${user.username}`;
    } catch {
      // The chat does without.
    }
  }
})();

// The lobby page: what others say, what one says oneself, who comes and goes.
(() => {
  'use strict';

  // The token has done its work: the server put it into a cookie that no script can read. In the address it
  // would go into the history, and along with every copy of the link.
  const address = new URL(location.href);
  if (address.searchParams.has('jwt')) {
    address.searchParams.delete('jwt');
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

  if (typeof io !== 'function') {
    tell('The chat could not be loaded. Try again in a while.', true);
    return;
  }
  const socket = io();

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

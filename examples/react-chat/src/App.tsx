import { useSyncExternalStore, type FormEvent } from 'react';
import type { Message } from 'parlor';
import { current, deliver, keyOf, older, open, send, signIn, subscribe, type Room, type State } from './chat';

export function App() {
  const state = useSyncExternalStore(subscribe, current);
  if (!state.isSignedIn) return <SignIn notice={state.notice} />;
  return (
    <main className="chat" data-open={Boolean(state.open)}>
      <Rooms state={state} />
      {state.open ? <Conversation key={keyOf(state.open)} state={state} room={state.open} /> : <p className="empty">Choose a conversation, or write somebody’s name on the left.</p>}
    </main>
  );
}

/** The fields of a form that is sent, by their names. */
function fields(event: FormEvent<HTMLFormElement>) {
  event.preventDefault();
  return Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>;
}

function SignIn({ notice }: { notice: string }) {
  const submit = (event: FormEvent<HTMLFormElement>) => {
    const alert = event.currentTarget.querySelector('[role=alert]')!;
    const isNew = (event.nativeEvent as SubmitEvent).submitter?.getAttribute('name') === 'new';
    const { username, password } = fields(event);
    signIn(username, password, isNew).catch((error: Error) => (alert.textContent = error.message));
  };
  return (
    <form className="sign-in" onSubmit={submit}>
      <h1>React chat</h1>
      <label>Username <input name="username" required autoFocus autoComplete="username" /></label>
      <label>Password <input name="password" type="password" required autoComplete="current-password" /></label>
      <p role="alert">{notice}</p>
      <button>Sign in</button>
      <button name="new" className="quiet">Create an account</button>
    </form>
  );
}

function Rooms({ state }: { state: State }) {
  const begin = (event: FormEvent<HTMLFormElement>) => {
    const { name } = fields(event);
    event.currentTarget.reset();
    const known = state.rooms.find((room) => room.name === name);
    void open(known ?? { receiver: name, group: false, name, lastSeq: 0, unread: 0 });
  };
  return (
    <nav>
      <h1>{state.me}</h1>
      <p className="status" role="status">{state.isOnline ? '' : 'Connecting … What you write is sent later.'}{state.notice}</p>
      <form onSubmit={begin}><input name="name" required placeholder="Write to …" aria-label="Write to" autoComplete="off" /></form>
      <ul>
        {state.rooms.map((room) => (
          <li key={keyOf(room)}>
            <button aria-current={state.open && keyOf(state.open) === keyOf(room)} onClick={() => void open(room)}>
              <strong>{room.name}</strong> {room.unread > 0 && <span className="badge">{room.unread}</span>}
              <span className="last">{room.last && text(room.last)}</span>
            </button>
          </li>
        ))}
      </ul>
    </nav>
  );
}

const text = (message: Message) => (message.deletedAt ? 'This message was deleted.' : message.kind === 'encrypted' ? 'An encrypted message' : message.content);
const tick = (message: Message) => (message.readByAll ? 'read' : message.deliveredToAll ? 'delivered' : 'stored');

function Conversation({ state, room }: { state: State; room: Room }) {
  const key = keyOf(room);
  const write = (event: FormEvent<HTMLFormElement>) => {
    const content = fields(event).text.trim();
    event.currentTarget.reset();
    if (content) void send(room, content);
  };
  return (
    <section>
      <h2>{room.name}</h2>
      {/* The list stands upside down, so that the newest message stays in view. */}
      <ol>
        {state.drafts.filter((draft) => draft.room === key).reverse().map((draft) => (
          <li key={draft.id} className="own">
            {draft.text} <small>{draft.problem ?? 'sending'}</small>
            {draft.problem && <button onClick={() => void deliver(draft)}>Send again</button>}
          </li>
        ))}
        {state.messages[key]?.toReversed().map((message) => (
          <li key={message.clientMessageId ?? message.seq} className={message.sender === state.me ? 'own' : ''}>
            {room.group && message.sender !== state.me && <b>{message.sender}</b>}
            {text(message)} <small>{message.editedAt && 'edited '}{message.sender === state.me && tick(message)}</small>
          </li>
        ))}
        {state.hasOlder[key] && <li><button onClick={() => void older(room)}>Older messages</button></li>}
      </ol>
      <form onSubmit={write}><input name="text" placeholder="Message" aria-label={`Message to ${room.name}`} autoComplete="off" autoFocus /><button>Send</button></form>
    </section>
  );
}

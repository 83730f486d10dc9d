import { Component, computed, inject, signal } from '@angular/core';
import type { Message } from 'parlor';
import { Chat } from './chat';

@Component({
  selector: 'app-root',
  template: `
    @if (!chat.isSignedIn()) {
      <form class="sign-in" (submit)="signIn($event)">
        <h1>Angular chat</h1>
        <label>Username <input name="username" required autocomplete="username"></label>
        <label>Password <input name="password" type="password" required autocomplete="current-password"></label>
        <p role="alert">{{ problem() || chat.notice() }}</p>
        <button>Sign in</button> <button name="new" class="quiet">Create an account</button>
      </form>
    } @else {
      <main class="chat" [attr.data-open]="!!chat.open()">
        <nav>
          <h1>{{ chat.me() }}</h1>
          <p class="status" role="status">{{ chat.isOnline() ? '' : 'Connecting … What you write is sent later.' }}{{ chat.notice() }}</p>
          <form (submit)="begin($event)"><input name="name" required placeholder="Write to …" aria-label="Write to" autocomplete="off"></form>
          <ul>
            @for (room of chat.rooms(); track room.key) {
              <li>
                <button [attr.aria-current]="room.key === chat.openKey()" (click)="chat.show(room.key)">
                  <strong>{{ room.name }}</strong> @if (room.unread) { <span class="badge">{{ room.unread }}</span> }
                  <span class="last">{{ room.last ? text(room.last) : '' }}</span>
                </button>
              </li>
            }
          </ul>
        </nav>
        @if (chat.open(); as room) {
          <section>
            <h2>{{ room.name }}</h2>
            <!-- The list stands upside down, so that the newest message stays in view. -->
            <ol>
              @for (draft of drafts(); track draft.id) {
                <li class="own">{{ draft.text }} <small>{{ draft.problem ?? 'sending' }}</small> @if (draft.problem) { <button (click)="chat.deliver(draft)">Send again</button> }</li>
              }
              @for (message of messages(); track message.seq) {
                <li [class.own]="message.sender === chat.me()">
                  @if (message.group && message.sender !== chat.me()) { <b>{{ message.sender }}</b> }
                  {{ text(message) }} <small>{{ message.editedAt ? 'edited ' : '' }}{{ message.sender === chat.me() ? tick(message) : '' }}</small>
                </li>
              }
              @if (chat.pages()[room.key]?.hasOlder) { <li><button (click)="chat.older(room.key)">Older messages</button></li> }
            </ol>
            <form (submit)="write($event)"><input name="text" placeholder="Message" [attr.aria-label]="'Message to ' + room.name" autocomplete="off"><button>Send</button></form>
          </section>
        } @else {
          <p class="empty">Choose a conversation, or write somebody’s name on the left.</p>
        }
      </main>
    }
  `,
})
export class App {
  readonly chat = inject(Chat);
  readonly problem = signal('');
  readonly messages = computed(() => (this.chat.pages()[this.chat.openKey()]?.messages ?? []).toReversed());
  readonly drafts = computed(() => this.chat.drafts().filter(({ key }) => key === this.chat.openKey()).toReversed());

  text = (message: Message) => (message.deletedAt ? 'This message was deleted.' : message.kind === 'encrypted' ? 'An encrypted message' : message.content);
  tick = (message: Message) => (message.readByAll ? 'read' : message.deliveredToAll ? 'delivered' : 'stored');

  async signIn(event: SubmitEvent) {
    const { username, password } = fields(event, false);
    this.problem.set('');
    await this.chat.signIn(username, password, event.submitter?.getAttribute('name') === 'new').catch((error) => this.problem.set(error.message));
  }

  begin(event: Event) {
    const { name } = fields(event);
    void this.chat.show(this.chat.rooms().find((room) => room.name === name)?.key ?? `u:${name}`);
  }

  write(event: Event) {
    const text = fields(event)['text'].trim();
    if (text) void this.chat.send(this.chat.openKey(), text);
  }
}

/** The fields of a form that is sent, by their names. */
function fields(event: Event, empties = true) {
  event.preventDefault();
  const form = event.target as HTMLFormElement;
  const values = Object.fromEntries(new FormData(form)) as Record<string, string>;
  if (empties) form.reset();
  return values;
}

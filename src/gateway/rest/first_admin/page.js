// Takes the secret out of the address, so that neither the history nor a bookmark keeps it.
const link = location.hash.slice(1);
history.replaceState(null, '', location.pathname);

const [form, told, about, done] = ['form', 'told', 'about', 'done'].map((id) => document.getElementById(id));
if (!link) told.textContent = 'This address is not complete: open the whole link that the server has printed.';

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const { username, password } = Object.fromEntries(new FormData(form));
  const button = form.querySelector('button');
  button.disabled = true;
  told.textContent = '';
  try {
    const answer = await fetch('api/first-admin', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ link, username, password }),
    });
    if (answer.ok) {
      form.hidden = about.hidden = true;
      done.hidden = false;
    } else {
      const refusal = await answer.json().catch(() => ({}));
      told.textContent = refusal.detail ?? `The server answers ${answer.status}.`;
    }
  } catch {
    told.textContent = 'The server cannot be reached. Try again in a moment.';
  }
  button.disabled = false;
});

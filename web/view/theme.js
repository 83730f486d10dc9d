// Light or dark: what the system prefers, or what the user has chosen.

const CHOSEN = 'parlor.theme';

export const theme = () => localStorage.getItem(CHOSEN) ?? '';

/** @param {string} name */
export function chooseTheme(name) {
  if (name) localStorage.setItem(CHOSEN, name);
  else localStorage.removeItem(CHOSEN);
  applyTheme();
}

export function applyTheme() {
  document.documentElement.dataset.theme = theme();
}

// The same questions to SQLite and PostgreSQL; answers may be promises.

export async function connect(url) {
  const { open } = url.startsWith("sqlite:") ? await import("./sqlite.js") : await import("./postgres.js");
  return open(url);
}

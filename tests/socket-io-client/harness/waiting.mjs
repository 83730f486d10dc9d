// Waiting is always "until seen, or limit". `sleep` is there to prove absence, and for nothing else.
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export { sleep };

/**
 * How long anything may take before the test says that it did not happen. It is far longer than anything takes on a
 * busy machine, because only a fault may decide a test.
 */
export const LIMIT = Number(process.env.PARLOR_TEST_LIMIT_MS ?? 60_000);

/** Asks again and again until `condition` gives something truthy, and returns that. */
export async function until(what, condition, limit = LIMIT) {
  const end = Date.now() + limit;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${limit} ms: ${what}`);
    await sleep(25);
  }
}

/** A value as one short line, for error texts. */
export function brief(value, length = 240) {
  const text = value instanceof Error ? `${value.name}: ${value.message}` : String(JSON.stringify(value));
  return text.length > length ? `${text.slice(0, length)}... (${text.length} characters)` : text;
}

/** [from, ..., last]: what the seqs of a complete run look like. */
export function seqsTo(last, from = 1) {
  return Array.from({ length: last - from + 1 }, (_, i) => from + i);
}

/** A port that nobody listens on at the moment. */
export async function freePort() {
  const probe = createServer();
  await new Promise((resolve, reject) => probe.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

// Where a server keeps its data: SQLite in its own directory, or a PostgreSQL database of its own
// when PARLOR_TEST_POSTGRES_URL is set (needs `psql` and the right to create databases).
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Gives `{ url, drop() }`. `admin` is the PostgreSQL server to take, if another one. */
export async function freshDatabase(admin = process.env.PARLOR_TEST_POSTGRES_URL) {
  if (!admin) return { url: 'sqlite://data/parlor.db', drop: async () => {} };
  const name = `parlor_test_${randomBytes(6).toString('hex')}`;
  await psql(admin, `CREATE DATABASE ${name}`);
  const url = new URL(admin);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => psql(admin, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

async function psql(admin, sql) {
  try {
    await run('psql', ['--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--dbname', admin, '--command', sql]);
  } catch (error) {
    throw new Error(`PARLOR_TEST_POSTGRES_URL is set, but psql failed: ${error.stderr || error.message}`);
  }
}

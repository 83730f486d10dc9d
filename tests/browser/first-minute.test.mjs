// The first minute: a program in an empty folder, on a machine without Node, and two people who use the keyboard only.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { Browser, freePort, isIn, shows, texts } from './harness.mjs';

const browser = await Browser.start();

/** Another port than the usual one, which no setting expects: 18087 if nobody else has it. */
async function otherPort() {
  const probe = createServer();
  const isFree = await new Promise((resolve) => probe.once('error', () => resolve(false)).listen(18087, '127.0.0.1', () => resolve(true)));
  if (!isFree) return freePort();
  await new Promise((resolve) => probe.close(resolve));
  return 18087;
}

/** Starts the program as somebody does who has just built it, and returns what its first line tells to open. */
async function firstLine(t) {
  const folder = await mkdtemp(join(tmpdir(), 'parlor-test-'));
  const env = { PATH: folder, PARLOR__SERVER__LISTEN: `127.0.0.1:${await otherPort()}` };
  const program = spawn(resolve(process.env.PARLOR_BIN), [], { cwd: folder, env, stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = new Promise((resolve) => program.once('exit', resolve));
  t.after(async () => {
    program.kill('SIGTERM');
    await ended;
    await rm(folder, { recursive: true, force: true });
  });
  const lines = createInterface({ input: program.stdout });
  const { value } = await lines[Symbol.asyncIterator]().next();
  program.stdout.resume();
  return value;
}

/** Presses Tab until the focus is on something with this name. The focus has to be visible all the way. */
async function tabsTo(tab, name) {
  for (let steps = 0; steps < 40; steps += 1) {
    await tab.presses('Tab');
    const found = await tab.runs(() => {
      const { textContent, ariaLabel, tagName } = document.activeElement;
      const { outlineStyle, boxShadow } = getComputedStyle(document.activeElement);
      const isVisible = tagName === 'BODY' || tagName === 'TEXTAREA' || outlineStyle !== 'none' || boxShadow !== 'none';
      return { name: ariaLabel ?? textContent, isVisible };
    });
    assert.ok(found.isVisible, `the focus is visible on ${found.name}`);
    if (found.name.includes(name)) return;
  }
  assert.fail(`Tab never reaches ${name}`);
}

test('two people sign up, write and read, by the keyboard alone', async (t) => {
  const [one, other] = [await browser.profile(t), await browser.profile(t)];
  const line = await firstLine(t);
  const [, address] = /^open (http:\/\/127\.0\.0\.1:\d+)$/.exec(line) ?? assert.fail(line);
  const begun = performance.now();
  const [ada, bob] = [await one.opens(address), await other.opens(address)];
  for (const [tab, name] of [[ada, 'ada'], [bob, 'bob']]) {
    await tab.until('the form', () => document.activeElement?.tagName === 'INPUT');
    await tabsTo(tab, 'Create an account');
    await tab.presses('Enter');
    await tab.until('the other form', () => document.querySelector('h2')?.textContent === 'Create an account');
    await tab.types(name);
    await tab.presses('Tab', 'Tab');
    await tab.types('correct horse');
    await tab.presses('Enter');
    await isIn(tab);
  }
  // Ada finds bob, and writes.
  await ada.presses('Control+k');
  await ada.types('bob');
  await ada.until('the result', () => document.querySelector('.results')?.textContent.includes('bob'));
  await tabsTo(ada, 'bob');
  await ada.presses('Enter');
  await ada.until('the field', () => document.activeElement?.tagName === 'TEXTAREA');
  await ada.types('hello');
  await ada.presses('Enter');
  await shows(ada, 'hello', 'delivered');
  // Bob sees that there is something, opens it, and answers.
  await bob.until('a badge', () => document.querySelector('.row .badge')?.textContent.startsWith('1'));
  await tabsTo(bob, 'ada');
  await bob.presses('Enter');
  await shows(bob, 'hello');
  await shows(ada, 'hello', 'read');
  await bob.until('the field', () => document.activeElement?.tagName === 'TEXTAREA');
  await bob.types('hi');
  await bob.presses('Enter');
  await shows(ada, 'hi');
  await shows(bob, 'hi', 'read');
  for (const tab of [ada, bob]) assert.deepEqual(await texts(tab), ['hello', 'hi']);
  t.diagnostic(`${Math.round(performance.now() - begun)} ms from the address to both answers`);
});

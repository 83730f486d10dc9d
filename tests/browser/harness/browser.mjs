// Chromium: one process for a test file, a profile for each test, and its tabs.
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { chromium } from 'playwright-core';
import { LIMIT } from '../../socket-io-client/harness/waiting.mjs';

export class Browser {
  #chromium;

  /** At the top of a file: serves the whole file. */
  static async start() {
    const browser = new Browser();
    browser.#chromium = await chromium.launch({
      executablePath: process.env.PARLOR_TEST_CHROMIUM ?? '/usr/bin/chromium',
      // Chromium's own sandbox does not work for root, and nothing strange is opened here.
      args: ['--no-sandbox'],
      timeout: LIMIT,
    });
    after(() => browser.#chromium.close());
    return browser;
  }

  /**
   * A browser as somebody gets it out of the box: its cookies and storage are its own, and shared by its
   * tabs. When the test is over it is closed, and the test fails if a tab complained unexpectedly. What a
   * test starts for itself is stopped in the same order, so take the profile before a server or a line:
   * otherwise the tabs complain that it went away. `options` are playwright's, such as `{ colorScheme: 'dark' }`.
   */
  async profile(t, options = {}) {
    const context = await this.#chromium.newContext(options);
    // Clicks and inputs wait as long as everything else, not playwright's half a minute.
    context.setDefaultTimeout(LIMIT);
    const profile = new Profile(context);
    t.after(async () => {
      await profile.close();
      // Last of all: after a hook that fails, the test would stop nothing more, and its file would never end.
      t.after(() => profile.hadNoComplaints());
    });
    return profile;
  }
}

export class Profile {
  #context;
  #tabs = [];

  constructor(context) {
    this.#context = context;
  }

  /** A new tab, once its page is loaded with all its scripts and modules. */
  async opens(url) {
    const tab = new Tab(await this.#context.newPage());
    this.#tabs.push(tab);
    await tab.goes(url);
    return tab;
  }

  /**
   * Lets this address show `html`, whoever would answer it otherwise: a page of the server's own origin,
   * say, which the server does not have.
   */
  async shows(url, html) {
    // Chromium does not know that such a page comes from this machine, and would ask before it lets it in.
    await this.#context.grantPermissions(['local-network-access'], { origin: new URL(url).origin });
    await this.#context.route(url, (route) => route.fulfill({ contentType: 'text/html; charset=utf-8', body: html }));
    return url;
  }

  /** Takes the network away, for all tabs; they are told, as by a laptop that loses its Wi-Fi. */
  goesOffline() {
    return this.#context.setOffline(true);
  }

  goesOnline() {
    return this.#context.setOffline(false);
  }

  /** All cookies, those that scripts cannot read, too. */
  cookies() {
    return this.#context.cookies();
  }

  close() {
    return this.#context.close();
  }

  hadNoComplaints() {
    const complaints = this.#tabs.flatMap((tab) => tab.complaints);
    assert.deepEqual(complaints, [], 'errors in the console, or that no script caught');
  }
}

export class Tab {
  #page;
  #complaints = [];
  #expected = [];
  #console = [];

  constructor(page) {
    this.#page = page;
    page.on('console', (message) => {
      const text = `${message.type()}: ${message.text()} (${message.location().url})`;
      this.#console.push(text);
      if (message.type() === 'error') this.#complaints.push(text);
    });
    page.on('pageerror', (error) => {
      this.#console.push(`uncaught: ${error.message}`);
      this.#complaints.push(`uncaught: ${error.stack ?? error.message}`);
    });
  }

  /** Errors like these are part of the test, also those of the page that is loading already. */
  mayComplain(...patterns) {
    this.#expected.push(...patterns);
  }

  /** Errors of the console, and those that no script caught, except the expected. */
  get complaints() {
    return this.#complaints.filter((text) => !this.#expected.some((pattern) => pattern.test(text)));
  }

  goes(url) {
    return this.#page.goto(url);
  }

  reloads() {
    return this.#page.reload();
  }

  /** What a CSS selector finds that has this text in it. */
  locate(selector, hasText) {
    return this.#page.locator(selector, { hasText });
  }

  /** Runs a function in the page, and gives what it returns or resolves to. It sees nothing of this side but `arg`. */
  runs(script, arg) {
    return this.#page.evaluate(script, plain(arg));
  }

  /** Waits until the function, run in the page, gives something truthy, and gives that. */
  async until(what, script, arg, limit = LIMIT) {
    try {
      const found = await this.#page.waitForFunction(script, plain(arg), { timeout: limit, polling: 25 });
      return await found.jsonValue();
    } catch (error) {
      const story = this.#console.slice(-25).map((line) => `\n  ${line}`).join('');
      throw new Error(`${what}: ${error.message}; the tab's console:${story || ' nothing'}`);
    }
  }

  /** What a person finds by its role and its exact name. */
  find(role, name) {
    return this.#page.getByRole(role, { name, exact: true });
  }

  /** What a person finds by its label. */
  field(label) {
    return this.#page.getByLabel(label, { exact: true });
  }

  /** Presses keys, one after the other: 'Tab', 'Enter', 'Control+k'. */
  async presses(...keys) {
    for (const key of keys) await this.#page.keyboard.press(key);
  }

  /** Types into what has the focus. */
  types(text) {
    return this.#page.keyboard.type(text);
  }

  /** Another window, or other colours: `{ width, height, colorScheme }`. */
  async looks({ width, height, colorScheme }) {
    await this.#page.setViewportSize({ width, height });
    await this.#page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
  }
}

/** What of a value can go into a page: of a Person, say, the fields. */
function plain(arg) {
  if (arg === null || typeof arg !== 'object') return arg;
  if (Array.isArray(arg)) return arg.map(plain);
  const { server, ...rest } = arg;
  return rest;
}

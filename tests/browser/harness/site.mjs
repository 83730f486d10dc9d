// A front end's web server: pages on a port of their own, which is an origin of its own.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after } from 'node:test';

export class Site {
  origin = null;
  #pages = new Map();

  /** At the top of a file: serves the whole file. */
  static async start() {
    const site = new Site();
    const listener = createServer((request, response) => {
      const html = site.#pages.get(new URL(request.url, site.origin).pathname);
      // Browsers ask for an icon, and would complain that there is none.
      response.writeHead(html ? 200 : 204, { 'content-type': 'text/html; charset=utf-8' }).end(html);
    });
    await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
    site.origin = `http://127.0.0.1:${listener.address().port}`;
    after(() => {
      listener.closeAllConnections();
      listener.close();
    });
    return site;
  }

  /** Serves a file of `pages/` from now on; its address. */
  async shows(file, values) {
    const path = `/${this.#pages.size}/${file}`;
    this.#pages.set(path, await page(file, values));
    return this.origin + path;
  }
}

/** The text of a file of `pages/` with every `{{name}}` replaced by that value. */
export async function page(file, values = {}) {
  const text = await readFile(new URL(`../pages/${file}`, import.meta.url), 'utf8');
  return text.replace(/\{\{(\w+)\}\}/g, (_, name) => {
    if (!(name in values)) throw new Error(`${file} needs a value for ${name}`);
    return values[name];
  });
}

// The service worker: the page opens without the server, as it was last. With the server, it is always the server's.

/// <reference lib="webworker" />

const CACHE = 'parlor';
/** How long the network may take before the stored copy is good enough. */
const PATIENCE = 4000;
/** What is never stored: answers to one user, and sockets. */
const LIVE = /^\/(api|web|auth|docs|chat|ws|metrics|healthz|readyz|socket\.io\/(?!socket\.io))/;

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));

worker.addEventListener('install', (event) => event.waitUntil(worker.skipWaiting()));
worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()));

worker.addEventListener('message', (event) => {
  // The page was loaded before its worker was there: what it has loaded is stored now.
  const addresses = /** @type {string[]} */ (event.data);
  const stored = caches.open(CACHE).then((cache) => Promise.allSettled(addresses.map((address) => cache.add(address))));
  event.waitUntil(stored.then(() => event.ports[0]?.postMessage('stored')));
});

worker.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  const isOurs = url.origin === location.origin && request.method === 'GET' && !LIVE.test(url.pathname);
  if (isOurs && !url.searchParams.has('jwt')) event.respondWith(answer(request));
});

/** @param {Request} request */
async function answer(request) {
  const cache = await caches.open(CACHE);
  const late = new Promise((_, reject) => setTimeout(reject, PATIENCE));
  const network = fetch(request).then((response) => {
    if (response.ok) void cache.put(request, response.clone());
    return response;
  });
  try {
    return await Promise.race([network, late]);
  } catch {
    const stored = await cache.match(request, { ignoreSearch: request.mode === 'navigate', ignoreVary: true });
    return stored ?? network;
  }
}

// What a server needs to be told to serve pages.
import { fileURLToPath } from 'node:url';

const CLIENT = new URL('../../socket-io-client/node_modules/socket.io-client', import.meta.url);

/** Lets pages of these sites, or origins, in, and serves them the client that npm installed. */
export function settingsFor(...sites) {
  return {
    CORS__ORIGINS: sites.map((site) => site.origin ?? site).join(','),
    SERVER__CLIENT_FOLDER: fileURLToPath(CLIENT),
    // A page may be as quick as its test.
    LIMITS__EVENTS_PER_SECOND: '10000',
    LIMITS__EVENTS_BURST: '10000',
  };
}

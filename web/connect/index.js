// Chooses a connector: the stock Socket.IO client where the server hands it out, otherwise plain WebSockets.

/** @import { Connector, Facts, Hooks } from '../types.js' */

/** @param {Facts} facts @param {Hooks} hooks @returns {Promise<Connector>} */
export async function connector(facts, hooks) {
  if (facts.socketIo || !facts.webSocket) {
    try {
      const { socketIo } = await import('./socketio.js');
      return await socketIo(hooks);
    } catch {
      // It cannot be loaded, for now at least.
    }
  }
  const { plain } = await import('./plain.js');
  return plain(hooks);
}

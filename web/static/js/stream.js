import { ask } from "./session.js";

// The stream from the server. EventSource reconnects by itself after a lost connection, and gives up on an answer that is
// not a stream (a full server, a proxy's error page): then this does.
export function connect({ onState, onUpdate, onLink }) {
  let source = null, timer = 0, tries = 0, heard = 0, hiddenTimer = 0;

  const open = () => {
    clearTimeout(timer);
    source?.close();
    source = new EventSource("/api/v1/stream");
    source.addEventListener("state", (e) => {
      tries = 0;
      heard = performance.now();
      onLink("live");
      onState(JSON.parse(e.data));
    });
    source.addEventListener("update", (e) => {
      heard = performance.now();
      onUpdate(JSON.parse(e.data));
    });
    source.onerror = () => {
      onLink("reconnecting");
      if (source.readyState === EventSource.CLOSED) {
        tries++;
        ask(); // a token that was revoked closes the stream too
        timer = setTimeout(open, Math.min(1000 * 2 ** tries, 10000));
      }
    };
  };

  // A tab that nobody sees keeps its stream for half a minute: browsers allow six connections to a server.
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiddenTimer);
    if (document.hidden) {
      hiddenTimer = setTimeout(() => {
        clearTimeout(timer);
        source?.close();
        source = null;
      }, 30000);
    } else if (!source) {
      onLink("connecting");
      open();
    }
  });

  open();
  return { quietFor: () => (heard && source ? (performance.now() - heard) / 1000 : 0) };
}

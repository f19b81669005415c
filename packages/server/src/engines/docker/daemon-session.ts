import { type IncomingMessage, request } from 'node:http';
import type { DockerClient } from './docker-client.ts';
import { askStream } from './dial.ts';

/** One run of the daemon, from when it was asked for on. */
export interface DaemonSession {
  /**
   * Whether that run of the daemon goes on and takes new connections. One that shuts down takes none any more, then ends
   * all containers and tells how they ended, as if they had done so by themselves. Never throws.
   */
  goesOn(): Promise<boolean>;
}

/** Tells one run of the daemon from the next. */
export interface DaemonSessions extends Disposable {
  /** The run there is now. Throws as {@link DockerClient.call} does when there is none. */
  current(): Promise<DaemonSession>;
}

interface Lifeline {
  isCut: boolean;
}

/** Makes what keeps one silent connection to the daemon at `socketPath` from the first question on. */
export function createDaemonSessions(client: DockerClient, socketPath: string): DaemonSessions {
  const closing = new AbortController();
  let opening: Promise<Lifeline> | undefined;

  async function open(): Promise<Lifeline> {
    const lifeline = { isCut: false };
    // Nothing of ours ever comes on it: all that is to be seen is that it ends.
    const filters = JSON.stringify({ type: ['daemon'] });
    const stream = (await client.call('open the event stream', client.deadlines.queryMs, () =>
      askStream(client.docker, '/events', closing.signal, { filters }),
    )) as AsyncIterable<Uint8Array> & Pick<IncomingMessage, 'socket'>;
    // A server that leaves its containers to another ends without closing the engine.
    stream.socket.unref();
    const cut = () => {
      lifeline.isCut = true;
      opening = undefined;
    };
    void exhaust(stream).then(cut, cut);
    return lifeline;
  }

  return {
    async current() {
      opening ??= open().catch((error: unknown) => {
        opening = undefined;
        throw error;
      });
      const lifeline = await opening;
      return {
        async goesOn() {
          try {
            await client.call('see whether it still runs', client.deadlines.queryMs, (signal) =>
              ping(socketPath, signal),
            );
          } catch {
            return false;
          }
          // What answered may be the next run already; then the end of this one has arrived by now, and is read first.
          await new Promise((resolve) => setImmediate(resolve));
          return !lifeline.isCut;
        },
      };
    },
    [Symbol.dispose]: () => closing.abort(),
  };
}

/** Asks over a connection of its own. */
function ping(socketPath: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: '/_ping', agent: false, signal }, (answer) => {
      answer.resume();
      resolve();
    });
    asked.once('error', reject);
    asked.end();
  });
}

async function exhaust(stream: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of stream);
}

import { rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';

/** A socket that passes bytes on to another one, until it is cut. */
export interface CutProxy extends AsyncDisposable {
  readonly socketPath: string;
  /** Cuts every connection and refuses new ones for `ms`, as a daemon that is started again does. */
  cut(ms: number): Promise<void>;
}

/** Starts a proxy at `socketPath` to the socket `target`. */
export async function startCutProxy(target: string, socketPath: string): Promise<CutProxy> {
  const open = new Set<Socket>();
  let isCut = false;
  const server = createServer({ allowHalfOpen: true }, (incoming) => {
    if (isCut) {
      incoming.destroy();
      return;
    }
    const outgoing = connect({ path: target, allowHalfOpen: true });
    for (const [one, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      open.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  const cutAll = () => {
    for (const one of open) one.destroy();
  };
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return {
    socketPath,
    async cut(ms) {
      isCut = true;
      cutAll();
      await new Promise((resolve) => setTimeout(resolve, ms));
      isCut = false;
    },
    async [Symbol.asyncDispose]() {
      cutAll();
      await new Promise((resolve) => server.close(resolve));
      await rm(socketPath, { force: true });
    },
  };
}

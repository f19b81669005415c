import type { Server } from 'node:net';

/** The file descriptor of a server that listens. Throws TypeError for one that does not. */
export function listeningFd(server: Server): number {
  // Node names the member in the documentation of `server.listen(handle)`, but has no method for it.
  const { _handle: handle } = server as Server & { readonly _handle?: { readonly fd?: unknown } | null };
  if (typeof handle?.fd !== 'number' || handle.fd < 0) throw new TypeError('the server has no socket that listens');
  return handle.fd;
}

import { Socket } from 'node:net';

/** What lies below a `Socket` of Node, as far as it is needed here. */
interface StreamHandle {
  readonly useUserBuffer: (buffer: Uint8Array) => void;
}

/**
 * A connection that is read into a buffer which many share, instead of into memory of its own for each read. While it
 * has a reader, what comes goes there; without one it is the stream's, as on any other socket.
 */
export class DirectSocket extends Socket {
  /** Is given the shared buffer and how many bytes at its beginning have come: good for this turn only. */
  reader: ((buffer: Buffer, count: number) => void) | undefined;

  /** Prefer {@link readInto}. */
  constructor(handle: StreamHandle, buffer: Buffer) {
    const onread = { buffer, callback: (count: number) => this.#got(buffer, count) };
    // `handle` is not among the documented options, but it is what Node makes every socket with that was accepted.
    super({ handle, onread, allowHalfOpen: true } as object);
  }

  /** Returns whether more may come now. */
  #got(buffer: Buffer, count: number): boolean {
    if (this.reader === undefined) return this.push(Buffer.from(buffer.subarray(0, count)));
    this.reader(buffer, count);
    return true;
  }
}

/**
 * Has a connection that was accepted just now read into `buffer`: returns the one to use from now on. `accepted` has
 * lost its connection to it and closes with it, so that whoever counts `accepted` counts right. A connection of which
 * something was read, or of a Node that does not allow this, is returned as it is.
 */
export function readInto(buffer: Buffer, accepted: Socket): Socket {
  const owner: { _handle?: Partial<StreamHandle> | null } = accepted as object;
  const handle = owner._handle;
  if (!isStreamHandle(handle) || accepted.readableLength > 0) return accepted;
  owner._handle = null;
  const socket = new DirectSocket(handle, buffer);
  socket.once('close', () => accepted.destroy());
  return socket;
}

function isStreamHandle(handle: Partial<StreamHandle> | null | undefined): handle is StreamHandle {
  return typeof handle?.useUserBuffer === 'function';
}

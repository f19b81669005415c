import { connect, type Socket } from 'node:net';

/** A bare connection for tests, and what came back on it so far. */
export interface Wire {
  readonly socket: Socket;
  /** Everything received, one character a byte. */
  readonly text: () => string;
  readonly isClosed: () => boolean;
}

/** Opens a connection and sends bytes as they are. */
export function openWire(port: number, bytes: string, options: { readonly allowHalfOpen?: boolean } = {}): Wire {
  const socket = connect({ port, host: '127.0.0.1', ...options });
  let text = '';
  let isClosed = false;
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.on('error', () => {});
  socket.on('close', () => (isClosed = true));
  socket.write(bytes, 'latin1');
  return { socket, text: () => text, isClosed: () => isClosed };
}

/** Sends bytes as they are and returns everything that comes back until the other side closes, or for 3 s. */
export function talk(port: number, bytes: string): Promise<string> {
  const { socket, text } = openWire(port, bytes);
  socket.setTimeout(3_000, () => socket.destroy());
  return new Promise((resolve) => socket.on('close', () => resolve(text())));
}

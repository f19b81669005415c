/** Longest line of an instance that is kept, in bytes; the rest is cut and counted. */
export const MAX_LINE_BYTES = 16_384;

/** A line as an instance wrote it, with the call it was written in taken off. */
export interface InstanceLine {
  readonly text: string;
  readonly callId?: string;
}

/** The managed runtimes start a line that was written during a call with the call's id between two marks. */
const MARKED_LINE = /^\x1e([\x21-\x7e]{1,128})\x1e/; // oxlint-disable-line no-control-regex

/**
 * Takes the call mark off a line and caps it at {@link MAX_LINE_BYTES}. A function can forge the id of a call, but
 * only in its own log.
 */
export function parseInstanceLine(text: string): InstanceLine {
  const match = MARKED_LINE.exec(text);
  const rest = capLine(match ? text.slice(match[0].length) : text);
  return match?.[1] === undefined ? { text: rest } : { text: rest, callId: match[1] };
}

function capLine(text: string): string {
  // A UTF-16 unit takes at most three bytes, so short lines need no count.
  if (text.length * 3 <= MAX_LINE_BYTES) return text;
  const bytes = Buffer.from(text);
  if (bytes.length <= MAX_LINE_BYTES) return text;
  return `${cutDecode(bytes.subarray(0, MAX_LINE_BYTES))}${cutNote(bytes.length - MAX_LINE_BYTES)}`;
}

function cutDecode(bytes: Buffer): string {
  // Decoding as a stream leaves out a character whose bytes were cut in two.
  return new TextDecoder().decode(bytes, { stream: true });
}

function cutNote(droppedBytes: number): string {
  return ` [${droppedBytes} bytes cut]`;
}

/** Cuts a byte stream into lines. */
export interface LineSplitter {
  push(chunk: Uint8Array): void;
  /** Hands over an unfinished last line. */
  end(): void;
}

/**
 * Calls `onLine` with every line, without its line end. Holds at most {@link MAX_LINE_BYTES} whatever comes: of a
 * longer line it passes the start and a note of how many bytes were cut. Bytes that are not UTF-8 become U+FFFD.
 */
export function createLineSplitter(onLine: (text: string) => void): LineSplitter {
  let parts: Buffer[] = [];
  let heldBytes = 0;
  let droppedBytes = 0;

  const hold = (piece: Uint8Array) => {
    const keepBytes = Math.min(piece.length, MAX_LINE_BYTES - heldBytes);
    // A copy: the source may be a small view of a large buffer that must not stay in memory.
    if (keepBytes > 0) parts.push(Buffer.from(piece.subarray(0, keepBytes)));
    heldBytes += keepBytes;
    droppedBytes += piece.length - keepBytes;
  };
  const flush = () => {
    const bytes = parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
    const text = droppedBytes > 0 ? `${cutDecode(bytes)}${cutNote(droppedBytes)}` : bytes.toString('utf8');
    parts = [];
    heldBytes = 0;
    droppedBytes = 0;
    onLine(text.endsWith('\r') ? text.slice(0, -1) : text);
  };
  return {
    push(chunk) {
      let start = 0;
      for (;;) {
        const end = chunk.indexOf(10, start);
        hold(chunk.subarray(start, end === -1 ? undefined : end));
        if (end === -1) return;
        flush();
        start = end + 1;
      }
    },
    end() {
      if (heldBytes > 0) flush();
    },
  };
}

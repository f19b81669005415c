import { StringDecoder } from 'node:string_decoder';

/** A line longer than this is told in pieces. */
const MAX_LINE_CHARS = 16_384;

/** Turns pieces of output into lines. */
export interface LineSplitter {
  write(chunk: Uint8Array): void;
  /** Tells what is left without an end of line. */
  end(): void;
}

/** Makes a splitter that calls `onLine` with each line, without its end. */
export function createLineSplitter(onLine: (text: string) => void): LineSplitter {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  return {
    write(chunk) {
      const lines = (rest + decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onLine(line.replace(/\r$/, ''));
      while (rest.length > MAX_LINE_CHARS) {
        onLine(rest.slice(0, MAX_LINE_CHARS));
        rest = rest.slice(MAX_LINE_CHARS);
      }
    },
    end() {
      rest += decoder.end();
      if (rest !== '') onLine(rest);
      rest = '';
    },
  };
}

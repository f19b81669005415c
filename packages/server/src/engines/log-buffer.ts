import { createBroadcast } from './broadcast.ts';
import type { EngineLogLine } from './engine.ts';

/** Lines and characters kept of one instance's output. */
const MAX_LINES = 2000;
const MAX_CHARACTERS = 2 ** 20;

/** The newest lines of one instance, for readers now and to come. */
export interface LogBuffer {
  append(line: EngineLogLine): void;
  /** Kept lines from the moment `sinceMs` on, with `follow` also new ones until {@link end} or an abort. */
  read(options: {
    readonly follow: boolean;
    readonly sinceMs?: number;
    readonly signal?: AbortSignal;
  }): AsyncIterable<EngineLogLine>;
  /** Says that no line will come any more. */
  end(): void;
}

/** Makes an empty {@link LogBuffer}; the oldest lines go when it is full. */
export function createLogBuffer(): LogBuffer {
  const lines: EngineLogLine[] = [];
  let characters = 0;
  const coming = createBroadcast<EngineLogLine>({
    capacity: 10_000,
    overflow: { at: new Date().toISOString(), source: 'platform', text: 'lines were dropped: they came too fast' },
  });

  return {
    append(line) {
      lines.push(line);
      characters += line.text.length;
      while (lines.length > MAX_LINES || characters > MAX_CHARACTERS) characters -= lines.shift()?.text.length ?? 0;
      coming.send(line);
    },
    async *read({ follow, sinceMs = 0, signal }) {
      const isAsked = (line: EngineLogLine) => Date.parse(line.at) >= sinceMs;
      // Subscribing and copying in one turn, so that no line is missed or seen twice.
      const following = follow ? coming.subscribe(signal) : [];
      for (const line of lines.filter(isAsked)) {
        if (signal?.aborted) return;
        yield line;
      }
      for await (const line of following) if (isAsked(line)) yield line;
    },
    end: () => coming.close(),
  };
}

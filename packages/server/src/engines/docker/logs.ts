import { type EngineLogLine } from '../engine.ts';
import { MAX_LINE_BYTES, parseInstanceLine } from '../log-line.ts';

/** One message of the engine's log stream. */
export interface Frame {
  readonly source: 'stdout' | 'stderr';
  readonly payload: Buffer;
}

const HEADER_BYTES = 8;
/** No message of the engine's log is near this; a stream that says so is broken. */
const MAX_FRAME_BYTES = 2 ** 20;

/**
 * Turns the engine's multiplexed log stream with timestamps into lines. A line longer than the cap comes as several
 * messages, of which those past the cap are counted and thrown away.
 */
export async function* readLogLines(stream: AsyncIterable<unknown>): AsyncIterable<EngineLogLine> {
  const open: Record<Frame['source'], OpenLine | undefined> = { stdout: undefined, stderr: undefined };
  for await (const { source, payload } of readFrames(stream)) {
    const space = payload.indexOf(0x20);
    const at = payload.toString('latin1', 0, Math.max(space, 0));
    const isComplete = payload.at(-1) === 0x0a;
    const text = payload.subarray(space + 1, isComplete ? -1 : undefined);
    const line = open[source] ?? { at, parts: [], keptBytes: 0, droppedBytes: 0 };
    addPart(line, text);
    open[source] = isComplete ? undefined : line;
    if (isComplete) yield toLogLine(source, line);
  }
  for (const source of ['stdout', 'stderr'] as const) {
    const line = open[source];
    if (line) yield toLogLine(source, line);
  }
}

interface OpenLine {
  readonly at: string;
  readonly parts: Buffer[];
  keptBytes: number;
  droppedBytes: number;
}

function addPart(line: OpenLine, text: Buffer): void {
  const kept = text.subarray(0, Math.max(MAX_LINE_BYTES - line.keptBytes, 0));
  if (kept.length > 0) line.parts.push(kept);
  line.keptBytes += kept.length;
  line.droppedBytes += text.length - kept.length;
}

function toLogLine(source: Frame['source'], line: OpenLine): EngineLogLine {
  const text = Buffer.concat(line.parts).toString('utf8').replace(/\r$/, '');
  const parsed = parseInstanceLine(text);
  const note = line.droppedBytes > 0 ? ` [${line.droppedBytes} bytes cut]` : '';
  const moment = Date.parse(line.at);
  return {
    at: new Date(Number.isNaN(moment) ? 0 : moment).toISOString(),
    source,
    ...parsed,
    text: `${parsed.text}${note}`,
  };
}

/** Takes the engine's multiplexed stream apart; an unfinished last message is left out. Throws when it is none. */
export async function* readFrames(stream: AsyncIterable<unknown>): AsyncIterable<Frame> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    rest = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
    let offset = 0;
    while (rest.length - offset >= HEADER_BYTES) {
      const length = rest.readUInt32BE(offset + 4);
      if (length > MAX_FRAME_BYTES) throw new Error(`the log stream of Docker has a message of ${length} bytes`);
      const end = offset + HEADER_BYTES + length;
      if (rest.length < end) break;
      yield { source: rest[offset] === 2 ? 'stderr' : 'stdout', payload: rest.subarray(offset + HEADER_BYTES, end) };
      offset = end;
    }
    rest = rest.subarray(offset);
  }
}

import type { BuildNews } from '../../core/ports.ts';
import { decodeMessage } from './build-messages.ts';

const TRACE_ID = 'moby.buildkit.trace';
/** A line a program does not end is cut here. */
const MAX_LINE_CHARS = 16_384;

interface Vertex {
  readonly digest: string;
  readonly name: string;
  readonly cached: boolean;
  readonly started: unknown;
  readonly completed: unknown;
}

interface VertexLog {
  readonly vertex: string;
  readonly msg: Uint8Array;
}

/**
 * Reads the daemon's answer to a build or a push, one JSON value a line: what its steps are and what they print, a line at
 * a time, and in the end how it went. An answer that breaks off throws.
 */
export async function* readBuildNews(answer: AsyncIterable<unknown>): AsyncGenerator<BuildNews, void, undefined> {
  const steps = createSteps();
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of answer) {
    const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.trim() === '') continue;
      const message = JSON.parse(line) as Readonly<Record<string, unknown>>;
      if (typeof message['error'] === 'string') {
        yield* steps.end();
        yield { kind: 'failed', message: message['error'].trim() };
        return;
      }
      yield* message['id'] === TRACE_ID ? steps.trace(String(message['aux'])) : plain(message);
    }
  }
  yield* steps.end();
  yield { kind: 'done' };
}

function* plain({ status, id, stream }: Readonly<Record<string, unknown>>): Generator<BuildNews> {
  if (typeof stream === 'string' && stream.trim() !== '') yield lineOf(stream.trimEnd());
  // Bars of progress have many of one status; the layer's id says whose it is.
  if (typeof status === 'string' && !/^(?:Pushing|Waiting|Preparing|Downloading|Extracting)$/.test(status))
    yield lineOf(typeof id === 'string' ? `${id}: ${status}` : status);
}

/** Puts together what steps print, which comes in pieces, each step for itself. */
function createSteps() {
  const said = new Set<string>();
  const rests = new Map<string, { readonly decoder: TextDecoder; text: string }>();

  const saidOnce = function* (text: string): Generator<BuildNews> {
    if (said.has(text)) return;
    said.add(text);
    yield lineOf(text);
  };
  /** What a step printed behind its last end of line. */
  const last = function* (digest: string): Generator<BuildNews> {
    const { text = '' } = rests.get(digest) ?? {};
    rests.delete(digest);
    if (text !== '') yield lineOf(text);
  };
  return {
    *trace(aux: string): Generator<BuildNews> {
      const { vertexes, logs } = decodeMessage('StatusResponse', Buffer.from(aux, 'base64'));
      const completed: string[] = [];
      for (const vertex of vertexes as readonly Vertex[]) {
        if (vertex.completed !== null) completed.push(vertex.digest);
        if (vertex.cached) yield* saidOnce(`${vertex.name} (cached)`);
        else if (vertex.started !== null) yield* saidOnce(vertex.name);
      }
      for (const { vertex, msg } of logs as readonly VertexLog[]) {
        const rest = rests.get(vertex) ?? { decoder: new TextDecoder(), text: '' };
        rests.set(vertex, rest);
        const lines = (rest.text + rest.decoder.decode(msg, { stream: true })).split('\n');
        rest.text = lines.pop() ?? '';
        while (rest.text.length > MAX_LINE_CHARS) {
          lines.push(rest.text.slice(0, MAX_LINE_CHARS));
          rest.text = rest.text.slice(MAX_LINE_CHARS);
        }
        for (const line of lines) yield* linesOf(line);
      }
      for (const digest of completed) yield* last(digest);
    },
    *end(): Generator<BuildNews> {
      for (const digest of rests.keys()) yield* last(digest);
    },
  };
}

/** A line, or several where it is very long. */
function* linesOf(line: string): Generator<BuildNews> {
  const text = line.replace(/\r$/, '');
  for (let at = 0; at === 0 || at < text.length; at += MAX_LINE_CHARS)
    yield lineOf(text.slice(at, at + MAX_LINE_CHARS));
}

function lineOf(text: string): BuildNews {
  return { kind: 'line', text };
}

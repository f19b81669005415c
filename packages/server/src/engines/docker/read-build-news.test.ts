import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeMessage } from './build-messages.ts';
import { readBuildNews } from './read-build-news.ts';

const MOMENT = { seconds: 1 };

function trace(status: Readonly<Record<string, unknown>>): string {
  const aux = encodeMessage('StatusResponse', status).toString('base64');
  return `${JSON.stringify({ id: 'moby.buildkit.trace', aux })}\n`;
}

async function read(text: string, cuts: readonly number[] = []): Promise<string[]> {
  const bytes = Buffer.from(text);
  const ends = [...new Set(cuts.map((cut) => cut % bytes.length))].toSorted((a, b) => a - b);
  async function* pieces() {
    let from = 0;
    for (const end of [...ends, bytes.length]) {
      yield bytes.subarray(from, end);
      from = end;
    }
  }
  const said = await Array.fromAsync(readBuildNews(pieces()));
  return said.map((news) => (news.kind === 'line' ? news.text : news.kind === 'done' ? '.' : `! ${news.message}`));
}

const RUN = { digest: 'a', name: 'RUN make', started: MOMENT };
const ANSWER = [
  trace({ vertexes: [{ digest: 'z', name: 'FROM base', cached: true, started: MOMENT, completed: MOMENT }] }),
  trace({ vertexes: [RUN] }),
  // A character of two bytes in two pieces, and two steps at once.
  trace({ logs: [{ vertex: 'a', msg: Buffer.from([0x67, 0xc3]) }] }),
  trace({ logs: [{ vertex: 'b', msg: Buffer.from('other\r\n') }] }),
  trace({ logs: [{ vertex: 'a', msg: Buffer.concat([Buffer.from([0xbc]), Buffer.from('n\nrest')]) }] }),
  trace({ vertexes: [{ ...RUN, completed: MOMENT }] }),
].join('');

test('each step is named once, and what it prints is told in whole lines, however the answer is cut', async () => {
  const lines = ['FROM base (cached)', 'RUN make', 'other', 'gün', 'rest', '.'];
  expect(await read(ANSWER)).toEqual(lines);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(), { maxLength: 8 }), async (cuts) => {
      expect(await read(ANSWER, cuts)).toEqual(lines);
    }),
    { numRuns: 50 },
  );
});

test('an error ends it with the words of the daemon, after what was printed before', async () => {
  const failing = `${trace({ logs: [{ vertex: 'a', msg: Buffer.from('last words') }] })}{"errorDetail":{},"error":"exit code: 3"}\n`;
  expect(await read(`${failing}{"status":"more"}\n`)).toEqual(['last words', '! exit code: 3']);
});

test('of a push, bars of progress are left out', async () => {
  const push = [
    { status: 'The push refers to repository [r/a]' },
    { status: 'Preparing', id: 'l1' },
    { status: 'Pushing', id: 'l1', progress: '[=>]' },
    { status: 'Pushed', id: 'l1' },
    { aux: { Tag: '1' } },
  ];
  const text = push.map((message) => `${JSON.stringify(message)}\n`).join('');
  expect(await read(text)).toEqual(['The push refers to repository [r/a]', 'l1: Pushed', '.']);
});

test('a line without an end is cut, and nothing of it is lost', async () => {
  const msg = Buffer.alloc(40_000, 'x');
  const lines = await read(trace({ logs: [{ vertex: 'a', msg }] }));
  expect(lines.slice(0, -1).join('')).toHaveLength(40_000);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(16_384);
});

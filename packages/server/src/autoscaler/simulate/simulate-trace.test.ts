import { KEEP_ALIVES } from '@ebb/contract';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EventQueue } from './event-queue.ts';
import { parseTrace, type TraceCall } from './parse-trace.ts';
import { simulateTrace } from './simulate-trace.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const MIB = 2 ** 20;
const OPTIONS = { idleMs: 5 * MINUTE, startMs: 250 };

const every = (name: string, gapMs: number, count: number, more: Partial<TraceCall> = {}): TraceCall[] =>
  Array.from({ length: count }, (_, index) => ({
    at: index * gapMs,
    name,
    durationMs: 100,
    memoryBytes: 100 * MIB,
    ...more,
  }));

const inOrder = (...calls: TraceCall[][]): TraceCall[] => calls.flat().sort((a, b) => a.at - b.at);

describe('a trace', () => {
  test('is read with its units, in any order of lines and columns', () => {
    const text = 'memory,function,duration,time,owner\n128Mi,b,0.2,2,x\n\n1048576,"a",50ms,1.5,y\n';
    expect(parseTrace(text)).toEqual([
      { at: 1_500, name: 'a', durationMs: 50, memoryBytes: MIB },
      { at: 2_000, name: 'b', durationMs: 200, memoryBytes: 128 * MIB },
    ]);
  });

  test('may tell dates, and how long an instance takes to start', () => {
    const [call] = parseTrace('time,function,duration,memory,start\n2026-11-23T08:00:00Z,f,1s,1Mi,90ms\r\n');
    expect(call).toMatchObject({ at: Date.parse('2026-11-23T08:00:00Z'), startMs: 90 });
  });

  test.each([
    [
      'time,function,duration\n',
      'line 1 has no column "memory": the headings must name time, function, duration, memory',
    ],
    ['time,function,duration,memory\n', 'the trace has no calls: it needs a line for each'],
    [
      'time,function,duration,memory\n1,f,1,1Mi\nnoon,f,1,1Mi\n',
      'line 3: "time" is "noon" but must be seconds such as 12.5, or a date such as 2026-11-23T08:00:00Z',
    ],
    [
      'time,function,duration,memory\n1,f,fast,1Mi\n',
      'line 2: "duration" is "fast" but must be seconds such as 0.12, or a duration such as 120ms',
    ],
    [
      'time,function,duration,memory\n1,f,1,0\n',
      'line 2: "memory" is "0" but must be a number of bytes above 0, or a size such as 128Mi',
    ],
    ['time,function,duration,memory\n1,,1,1Mi\n', 'line 2: "function" is empty but must be a name'],
  ])('%j is refused in words', (text, message) => {
    expect(() => parseTrace(text)).toThrow(message);
  });
});

describe('a replay', () => {
  test('counts cold calls, memory and slowdown as they can be worked out by hand', () => {
    // Cold at 0 (start 250, work 100); warm at 60 s; idle until the last call ends.
    const result = simulateTrace(every('f', MINUTE, 2), { ...OPTIONS, keepAlive: 'fixed' });
    expect(result).toMatchObject({ calls: 2, coldShare: 0.5, slowdownP99: 3.5, refusedCalls: 0, prewarms: 0 });
    expect(result.memoryByteSeconds).toBeCloseTo(60.1 * 100 * MIB, 0);
    expect(result.idleByteSeconds).toBeCloseTo(59.65 * 100 * MIB, 0);
  });

  test('calls at the same time each need an instance', () => {
    const calls = inOrder(every('f', MINUTE, 1), every('f', MINUTE, 1));
    expect(simulateTrace(calls, { ...OPTIONS, keepAlive: 'fixed' }).coldShare).toBe(1);
  });

  test('under histogram, calls at regular times are warm for less memory than keeping would cost', () => {
    const calls = every('f', 30 * MINUTE, 100);
    const fixed = simulateTrace(calls, { ...OPTIONS, keepAlive: 'fixed' });
    const histogram = simulateTrace(calls, { ...OPTIONS, keepAlive: 'histogram' });
    const kept = simulateTrace(calls, { ...OPTIONS, idleMs: 60 * MINUTE, keepAlive: 'fixed' });
    expect(fixed.coldShare).toBe(1);
    expect(histogram.coldShare).toBeLessThan(0.15);
    expect(histogram.memoryByteSeconds).toBeLessThan(kept.memoryByteSeconds / 2);
    expect(histogram.prewarms).toBeGreaterThan(80);
  });

  test('under a budget, greedy-dual keeps what is dear to start and often called', () => {
    const dear = every('dear', 20 * SECOND, 200, { startMs: 5_000 });
    const cheap = Array.from({ length: 6 }, (_, index) =>
      every(`cheap${index}`, 31 * SECOND, 130, { startMs: 50 }).map((call) => ({ ...call, at: call.at + index * 997 })),
    );
    const calls = inOrder(dear, ...cheap);
    const options = { ...OPTIONS, memoryBudgetBytes: 300 * MIB };
    const fixed = simulateTrace(calls, { ...options, keepAlive: 'fixed' });
    const greedy = simulateTrace(calls, { ...options, keepAlive: 'greedy-dual' });
    expect(greedy.slowdownP99).toBeLessThan(fixed.slowdownP99 / 2);
    expect(greedy.evictions).toBeGreaterThan(0);
  });

  test('a call for which no room can be made is refused', () => {
    const calls = inOrder(every('a', MINUTE, 1), every('b', MINUTE, 1));
    const result = simulateTrace(calls, { ...OPTIONS, memoryBudgetBytes: 150 * MIB, keepAlive: 'fixed' });
    expect(result).toMatchObject({ calls: 2, refusedCalls: 1 });
  });

  test('never holds more than the budget, less idle than in all, and says the same again', () => {
    const anyCall = fc.record({
      at: fc.nat(4_000_000),
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      durationMs: fc.nat(60_000),
      memoryBytes: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(
        fc.array(anyCall, { minLength: 1, maxLength: 200 }),
        fc.constantFrom(...KEEP_ALIVES),
        fc.option(fc.integer({ min: 4, max: 12 }), { nil: undefined }),
        (unordered, keepAlive, memoryBudgetBytes) => {
          const calls = inOrder(unordered);
          const options = { ...OPTIONS, keepAlive, memoryBudgetBytes };
          const result = simulateTrace(calls, options);
          const endMs = Math.max(...calls.map(({ at, durationMs }) => at + durationMs + OPTIONS.startMs));
          const seconds = (endMs - (calls[0]?.at ?? 0)) / 1000;
          if (memoryBudgetBytes !== undefined) {
            expect(result.memoryByteSeconds).toBeLessThanOrEqual(memoryBudgetBytes * seconds + 1e-6);
          }
          expect(result.idleByteSeconds).toBeLessThanOrEqual(result.memoryByteSeconds + 1e-6);
          expect(result.coldShare).toBeLessThanOrEqual(1);
          expect(result.slowdownP99).toBeGreaterThanOrEqual(0);
          expect(simulateTrace(calls, options)).toEqual(result);
        },
      ),
    );
  });
});

test('events come in order of time, those of one moment as they were added', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50)), (moments) => {
      const queue = new EventQueue<{ at: number; index: number }>();
      for (const [index, at] of moments.entries()) queue.add(at, { at, index });
      const taken = moments.map(() => queue.take());
      const sorted = moments.map((at, index) => ({ at, index })).sort((a, b) => a.at - b.at || a.index - b.index);
      expect(taken).toEqual(sorted);
      expect(queue.size).toBe(0);
    }),
  );
});

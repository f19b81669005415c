import { type BarRow, barsHeight, drawBars, drawLines } from './chart.ts';
import { drawCold } from './draw-cold.ts';
import { drawFlameGraph } from './flame-graph.ts';
import { median } from './measure.ts';
import type { Series } from './results.ts';
import { COLORS, svg } from './svg.ts';

const WIDTH = 820;
/** The pictures of a run by file name; those whose scenario is missing are left out. */
export function drawPlots(series: Series): ReadonlyMap<string, string> {
  const plots = new Map<string, string>();
  if (series.warm && series.rising) plots.set('warm.svg', drawWarm(series.warm, series.rising));
  if (series.overload) plots.set('overload.svg', drawOverload(series.overload));
  if (series.cold) plots.set('cold-starts.svg', drawCold(series.cold));
  if (series.profile) {
    const { stacks, connections } = series.profile;
    plots.set(
      'warm-profile.svg',
      drawFlameGraph(`Busy time of the server on the warm path, ${connections} connections`, stacks),
    );
  }
  return plots;
}

function drawWarm(warm: NonNullable<Series['warm']>, rising: NonNullable<Series['rising']>): string {
  const barsOf = (
    connections: number,
    valueOf: (one: (typeof warm)[number]) => number,
    note: (value: number) => string,
  ): BarRow[] =>
    warm
      .filter((one) => one.connections === connections && Number.isFinite(valueOf(one)))
      .map((one) => {
        const value = valueOf(one);
        return { label: one.target, parts: [{ name: '', value, color: colorOf(one.target) }], note: note(value) };
      });
  const throughput = barsOf(
    32,
    (one) => median(one.requestsPerSecond),
    (value) => `${(value / 1000).toFixed(1)}k/s`,
  );
  const latency = barsOf(
    1,
    (one) => median(one.p50Ms),
    (value) => `${value.toFixed(3)} ms`,
  );
  const cpu = barsOf(
    32,
    (one) => median(one.cpuUs),
    (value) => `${value.toFixed(1)} µs`,
  );
  const lines = rising.flatMap(({ target, steps }) => [
    {
      name: `${target}, p50`,
      color: colorOf(target),
      points: steps.map(({ offered, p50Ms }) => [offered, p50Ms] as const),
    },
    {
      name: `${target}, p99`,
      color: colorOf(target),
      dash: '5 4',
      points: steps.map(({ offered, p99Ms }) => [offered, p99Ms] as const),
    },
  ]);
  const half = WIDTH / 2;
  const below = barsHeight({ rows: throughput }) + 12;
  const height = 400;
  return svg(WIDTH, height, 'The warm path beside nginx', [
    ...drawBars(
      { title: 'Requests a second, 32 connections', rows: throughput, labelWidth: 130 },
      { x: 8, y: 8, width: half - 16 },
    ),
    ...drawBars(
      { title: 'Latency at one connection, p50', rows: latency, labelWidth: 130 },
      { x: 8, y: 8 + below, width: half - 16 },
    ),
    ...drawBars(
      { title: 'CPU of the proxy for a request', rows: cpu, labelWidth: 130 },
      { x: 8, y: 8 + 2 * below, width: half - 16 },
    ),
    ...drawLines(
      { title: 'Latency at fixed rates, ms', xTitle: 'requests due a second', lines, isLog: true },
      { x: half + 8, y: 8, width: half - 16, height: height - 16 },
    ),
  ]);
}

function drawOverload({ capacity, steps }: NonNullable<Series['overload']>): string {
  const lineOf = (name: string, color: string, valueOf: (step: (typeof steps)[number]) => number, dash?: string) => ({
    name,
    color,
    points: steps.map((step) => [step.offered, valueOf(step)] as const),
    ...(dash === undefined ? {} : { dash }),
  });
  const xTitle = 'requests due a second';
  const mark = { at: capacity, label: 'capacity' };
  const box = { y: 8, width: WIDTH / 2 - 16, height: 344 };
  return svg(WIDTH, 360, 'Load past saturation', [
    ...drawLines(
      {
        title: 'Answers a second',
        xTitle,
        mark,
        lines: [
          lineOf('answered well', COLORS.ebb, ({ goodput }) => goodput),
          lineOf('refused with 429 or 503', COLORS.nginx, ({ shed }) => shed),
          lineOf('failed', COLORS.bad, ({ errors }) => errors),
        ],
      },
      { ...box, x: 8 },
    ),
    ...drawLines(
      {
        title: 'Latency, ms',
        xTitle,
        mark,
        isLog: true,
        lines: [
          lineOf('answered well, p50', COLORS.ebb, ({ p50Ms }) => p50Ms),
          lineOf('answered well, p99', COLORS.ebb, ({ p99Ms }) => p99Ms, '5 4'),
          lineOf('refused, p99', COLORS.nginx, ({ shedP99Ms }) => shedP99Ms, '5 4'),
        ],
      },
      { ...box, x: WIDTH / 2 + 8 },
    ),
  ]);
}

function colorOf(target: string): string {
  if (target === 'Ebb') return COLORS.ebb;
  return target === 'nginx' ? COLORS.nginx : COLORS.other;
}

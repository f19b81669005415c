import { type BarRow, barsHeight, drawBars } from './chart.ts';
import type { ColdCall, Series } from './results.ts';
import { COLORS, svg } from './svg.ts';

const WIDTH = 820;
const PHASE_COLORS = {
  'engine alone': COLORS.text,
  queue: '#c4b5fd',
  code: '#f9a8d4',
  create: '#d97706',
  specialise: '#0f766e',
  init: '#38bdf8',
  'first byte': '#94a3b8',
} as const;

/** Draws where the time of a first call goes, for each way an instance comes to be. */
export function drawCold(cold: NonNullable<Series['cold']>): string {
  const rows = cold
    .filter(({ calls }) => calls.length > 0)
    .map(({ path, calls }): BarRow => {
      const middle = medianCall(calls);
      return { label: path, parts: phasesOf(path, middle), note: `${middle.totalMs.toPrecision(3)} ms` };
    })
    .toSorted((a, b) => totalOf(b) - totalOf(a));
  const title = 'The first call, by the way its instance came to be (the median call)';
  const chart = { title, rows, labelWidth: 250, key: PHASE_COLORS };
  const height = barsHeight(chart) + 16;
  return svg(WIDTH, height, 'Where the time of a cold call goes', [
    ...drawBars(chart, { x: 8, y: 8, width: WIDTH - 16 }),
  ]);
}

/** What a call spent where; the rest is on the way to the instance and back. */
function phasesOf(path: string, { totalMs, start }: ColdCall): BarRow['parts'] {
  if (!start) {
    const isEngine = path.includes('engine alone');
    return [
      isEngine
        ? { name: 'engine alone', value: totalMs, color: PHASE_COLORS['engine alone'] }
        : { name: 'first byte', value: totalMs, color: PHASE_COLORS['first byte'] },
    ];
  }
  const known = {
    queue: start.admitMs,
    code: start.codeMs,
    create: start.createMs ?? 0,
    specialise: start.specialiseMs ?? 0,
    init: start.initMs,
  };
  const rest = totalMs - Object.values(known).reduce((sum, value) => sum + value, 0);
  return Object.entries({ ...known, 'first byte': Math.max(0, rest) })
    .filter(([, value]) => value > 0)
    .map(([name, value]) => ({ name, value, color: PHASE_COLORS[name as keyof typeof PHASE_COLORS] }));
}

function medianCall(calls: readonly ColdCall[]): ColdCall {
  const sorted = calls.toSorted((a, b) => a.totalMs - b.totalMs);
  return sorted[Math.floor(sorted.length / 2)] ?? { totalMs: Number.NaN };
}

function totalOf({ parts }: BarRow): number {
  return parts.reduce((sum, { value }) => sum + value, 0);
}

import { scaleLinear, scaleLog } from 'd3-scale';
import { line } from 'd3-shape';
import { COLORS, n, rect, rule, text } from './svg.ts';

/** A place in a picture. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** One line of a chart. */
export interface Line {
  readonly name: string;
  readonly color: string;
  readonly dash?: string;
  readonly points: readonly (readonly [number, number])[];
}

/** A chart of lines over a common axis. */
export interface LineChart {
  readonly title: string;
  readonly xTitle: string;
  readonly lines: readonly Line[];
  /** A logarithmic upright axis, for what spans orders of magnitude. */
  readonly isLog?: boolean;
  /** An upright mark with words. */
  readonly mark?: { readonly at: number; readonly label: string };
}

const TICKS = 5;
const LEGEND_LINE = 18;

/** Draws lines with axes, a grid and a legend below. */
export function drawLines({ title, xTitle, lines, isLog = false, mark }: LineChart, box: Box): string[] {
  const legendHeight = lines.length * LEGEND_LINE + 24;
  const [left, right] = [box.x + 46, box.x + box.width - 10];
  const [top, bottom] = [box.y + 30, box.y + box.height - legendHeight - 22];
  const xs = lines.flatMap(({ points }) => points.map(([x]) => x));
  const ys = lines.flatMap(({ points }) => points.map(([, y]) => y)).filter((y) => !isLog || y > 0);
  const x = scaleLinear([0, Math.max(...xs)], [left, right]).nice(TICKS);
  const y = isLog
    ? scaleLog([Math.min(...ys), Math.max(...ys)], [bottom, top]).nice()
    : scaleLinear([0, Math.max(...ys)], [bottom, top]).nice(TICKS);
  const yTicks = isLog
    ? y.ticks(TICKS).filter((tick) => Number.isInteger(Math.round(Math.log10(tick) * 1e6) / 1e6))
    : y.ticks(TICKS);
  const parts = [text(box.x + 8, box.y + 16, title, { size: 13, bold: true })];
  for (const tick of yTicks) {
    parts.push(rule(left, y(tick), right, y(tick), COLORS.grid));
    parts.push(text(left - 6, y(tick) + 4, short(tick), { anchor: 'end', size: 11, fill: COLORS.faint }));
  }
  for (const tick of x.ticks(TICKS)) {
    parts.push(text(x(tick), bottom + 16, short(tick), { anchor: 'middle', size: 11, fill: COLORS.faint }));
  }
  parts.push(rule(left, bottom, right, bottom, COLORS.faint));
  parts.push(text((left + right) / 2, bottom + 32, xTitle, { anchor: 'middle', size: 11, fill: COLORS.faint }));
  if (mark) {
    parts.push(rule(x(mark.at), top, x(mark.at), bottom, COLORS.faint, '3 3'));
    parts.push(text(x(mark.at) + 4, top + 10, mark.label, { size: 11, fill: COLORS.faint }));
  }
  lines.forEach(({ name, color, dash = '', points }, index) => {
    const visible = points.filter(([, value]) => !isLog || value > 0);
    const path = line<readonly [number, number]>(
      ([at]) => x(at),
      ([, value]) => y(value),
    ).digits(2)([...visible]);
    const dashed = dash === '' ? '' : ` stroke-dasharray="${dash}"`;
    parts.push(`<path d="${path ?? ''}" fill="none" stroke="${color}" stroke-width="2"${dashed}/>`);
    for (const [at, value] of visible) {
      parts.push(`<circle cx="${n(x(at))}" cy="${n(y(value))}" r="2.5" fill="${color}"/>`);
    }
    const legendY = bottom + 44 + (index + 0.5) * LEGEND_LINE;
    parts.push(`<path d="M${n(left)} ${n(legendY)}h24" stroke="${color}" stroke-width="2"${dashed}/>`);
    parts.push(text(left + 32, legendY + 4, name, { size: 11 }));
  });
  return parts;
}

/** A bar made of parts, one after the other. */
export interface BarRow {
  readonly label: string;
  readonly parts: readonly { readonly name: string; readonly value: number; readonly color: string }[];
  /** Written behind the bar. */
  readonly note: string;
}

const NOTE_WIDTH = 90;
const ROW = 26;
const KEY_WIDTH = 112;

/** A chart of level bars. */
export interface BarChart {
  readonly title: string;
  readonly rows: readonly BarRow[];
  readonly labelWidth: number;
  /** Colours of parts by name, explained below; absent where bars have but one part. */
  readonly key?: Readonly<Record<string, string>>;
}

/** Draws level bars, one below the other. */
export function drawBars({ title, rows, labelWidth, key }: BarChart, box: Omit<Box, 'height'>): string[] {
  const left = box.x + labelWidth;
  const longest = Math.max(...rows.map(({ parts }) => sum(parts)));
  const x = scaleLinear([0, longest], [0, box.width - labelWidth - NOTE_WIDTH]);
  const parts = [text(box.x + 8, box.y + 16, title, { size: 13, bold: true })];
  rows.forEach((row, index) => {
    const y = box.y + 30 + index * ROW;
    let at = left;
    parts.push(text(left - 8, y + 14, row.label, { anchor: 'end' }));
    for (const { name, value, color } of row.parts) {
      parts.push(rect(at, y, x(value), ROW - 7, color, `${row.label}: ${name} ${n(value)}`));
      at += x(value);
    }
    parts.push(text(at + 6, y + 14, row.note, { fill: COLORS.faint }));
  });
  const y = box.y + 30 + rows.length * ROW + 8;
  Object.entries(key ?? {}).forEach(([name, color], index) => {
    parts.push(rect(box.x + 16 + index * KEY_WIDTH, y, 10, 10, color));
    parts.push(text(box.x + 31 + index * KEY_WIDTH, y + 9, name, { size: 11 }));
  });
  return parts;
}

/** Height that {@link drawBars} needs. */
export function barsHeight({ rows, key }: Pick<BarChart, 'rows' | 'key'>): number {
  return 36 + rows.length * ROW + (key ? 30 : 0);
}

function sum(parts: BarRow['parts']): number {
  return parts.reduce((total, { value }) => total + value, 0);
}

function short(value: number): string {
  return value >= 1000 ? `${n(value / 1000)}k` : n(value);
}

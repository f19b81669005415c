import { rect, svg, text } from './svg.ts';

const WIDTH = 1000;
const ROW = 17;
const CHAR = 6.2;
/** Narrower frames are left out, with all above them. */
const LEAST_PX = 1.5;

interface Frame {
  readonly name: string;
  weight: number;
  readonly children: Map<string, Frame>;
}

/** Draws stacks (`outer;inner weight`) as a flame graph: width is time, what is called stands on its caller. */
export function drawFlameGraph(title: string, stacks: readonly string[]): string {
  const root: Frame = { name: 'all', weight: 0, children: new Map() };
  for (const stack of stacks) {
    const split = stack.lastIndexOf(' ');
    const weight = Number(stack.slice(split + 1));
    let frame = root;
    frame.weight += weight;
    for (const name of stack.slice(0, split).split(';').filter(Boolean)) {
      const child = frame.children.get(name) ?? { name, weight: 0, children: new Map<string, Frame>() };
      frame.children.set(name, child);
      frame = child;
      frame.weight += weight;
    }
  }
  const perWeight = (WIDTH - 20) / root.weight;
  const drawn: { readonly frame: Frame; readonly x: number; readonly depth: number }[] = [];
  const place = (frame: Frame, x: number, depth: number) => {
    if (frame.weight * perWeight < LEAST_PX) return;
    drawn.push({ frame, x, depth });
    let at = x;
    for (const child of [...frame.children.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      place(child, at, depth + 1);
      at += child.weight * perWeight;
    }
  };
  place(root, 10, 0);
  const depth = Math.max(...drawn.map((one) => one.depth)) + 1;
  const height = depth * ROW + 44;
  const parts = [text(10, 20, title, { size: 13, bold: true })];
  for (const { frame, x, depth: level } of drawn) {
    const width = frame.weight * perWeight;
    const y = height - 10 - (level + 1) * ROW;
    const share = `${((100 * frame.weight) / root.weight).toFixed(1)} %`;
    parts.push(rect(x, y, width - 0.5, ROW - 1, colorOf(frame.name), `${frame.name}: ${share}`));
    const room = Math.floor((width - 6) / CHAR);
    const label = frame.name.slice(0, room);
    if (room >= 4) parts.push(text(x + 3, y + 12, label, { size: 10.5 }));
  }
  return svg(WIDTH, height, title, parts);
}

/** By where the code is from: Ebb's rooms, Node, V8. */
function colorOf(name: string): string {
  if (name.startsWith('(')) return '#e5e7eb';
  if (name.includes(' node:')) return '#fcd9a5';
  if (name.includes(' gateway/')) return '#99d5cd';
  if (name.includes(' pool/')) return '#a9cdf2';
  if (name.includes(' telemetry/')) return '#d3c3ef';
  return name.includes('.ts:') ? '#c4e3b2' : '#f3e8d2';
}

/** Colours that keep their distance for most kinds of colour blindness. */
export const COLORS = {
  ebb: '#0f766e',
  nginx: '#d97706',
  other: '#94a3b8',
  bad: '#dc2626',
  text: '#1f2937',
  faint: '#6b7280',
  grid: '#e5e7eb',
} as const;

/** A number for an attribute, short and the same everywhere. */
export function n(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** Text that is safe between tags and in attributes. */
function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** What text looks like where that is not the usual. */
export interface TextStyle {
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly size?: number;
  readonly fill?: string;
  readonly bold?: boolean;
}

/** A line of text. */
export function text(x: number, y: number, words: string, style: TextStyle = {}): string {
  const { anchor = 'start', size = 12, fill = COLORS.text, bold = false } = style;
  const weight = bold ? ' font-weight="600"' : '';
  return `<text x="${n(x)}" y="${n(y)}" text-anchor="${anchor}" font-size="${size}" fill="${fill}"${weight}>${escapeXml(words)}</text>`;
}

/** A filled rectangle; the title shows where the pointer rests on it. */
export function rect(x: number, y: number, width: number, height: number, fill: string, title?: string): string {
  const inner = title === undefined ? '/>' : `><title>${escapeXml(title)}</title></rect>`;
  return `<rect x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}" fill="${fill}"${inner}`;
}

/** A straight line. */
export function rule(x1: number, y1: number, x2: number, y2: number, stroke: string, dash = ''): string {
  const dashed = dash === '' ? '' : ` stroke-dasharray="${dash}"`;
  return `<line x1="${n(x1)}" y1="${n(y1)}" x2="${n(x2)}" y2="${n(y2)}" stroke="${stroke}"${dashed}/>`;
}

/** A whole picture on a light card of its own, so that it can be read on pages of any colour. */
export function svg(width: number, height: number, title: string, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${n(width)} ${n(height)}" width="${n(width)}" height="${n(height)}" role="img" aria-label="${escapeXml(title)}" font-family="system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif">`,
    `<rect width="100%" height="100%" rx="8" fill="#ffffff"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

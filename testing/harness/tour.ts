/** A shell block of a page that is to be run, and what its output is said to contain. */
export interface TourStep {
  /** Line of the page on which the block begins. */
  readonly line: number;
  readonly script: string;
  /** Lines that the output has, in this order; `...` stands for anything. */
  readonly expected: readonly string[];
}

/** The blocks marked `sh tour` of a Markdown page in order, each with the `text` block that follows it, if any. */
export function extractTour(markdown: string): readonly TourStep[] {
  const steps: TourStep[] = [];
  let open: { readonly kind: string; readonly line: number; readonly lines: string[] } | undefined;
  let mayExpect = false;
  for (const [index, line] of markdown.split('\n').entries()) {
    if (open && line !== '```') open.lines.push(line);
    else if (open) {
      const last = steps.at(-1);
      if (open.kind === 'sh tour') steps.push({ line: open.line, script: open.lines.join('\n'), expected: [] });
      else if (open.kind === 'text' && mayExpect && last) steps[steps.length - 1] = { ...last, expected: open.lines };
      mayExpect = open.kind === 'sh tour';
      open = undefined;
    } else if (line.startsWith('```')) open = { kind: line.slice(3).trim(), line: index + 1, lines: [] };
    else if (line.trim() !== '') mayExpect = false;
  }
  return steps;
}

/** The first expected line that the output lacks after those before it, or undefined when all are there in order. */
export function findMissingLine(output: string, expected: readonly string[]): string | undefined {
  const lines = output.split('\n');
  let next = 0;
  for (const wanted of expected) {
    const pattern = new RegExp(`^${wanted.trim().split('...').map(escaped).join('.*')}$`);
    const found = lines.findIndex((line, index) => index >= next && pattern.test(line.trim()));
    if (found === -1) return wanted;
    next = found + 1;
  }
  return undefined;
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`).replace(/\s+/g, String.raw`\s+`);
}

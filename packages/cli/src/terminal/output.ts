import { styleText } from 'node:util';

/** How much is written, and in which form. */
export interface OutputMode {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly color: boolean;
}

/** The part of a stream that output needs. */
export interface Sink {
  readonly isTTY?: boolean;
  write(data: string | Uint8Array): boolean;
}

/** Colours that are used; each has one meaning everywhere. */
export type Style = 'dim' | 'red' | 'yellow' | 'green' | 'bold';

/** Where a command says things: results on standard output, everything else on standard error. */
export interface Output {
  readonly mode: OutputMode;
  readonly isTerminal: boolean;
  /** The result of a command: its value with `--json`, else the text for people (`undefined`: none). */
  result(value: unknown, text: () => string | undefined): void;
  /** A line of a result that grows while the command runs; with `--json` one JSON value a line. */
  resultLine(value: unknown, text: () => string): void;
  /** Something worth knowing; not with `--quiet` or `--json`. */
  note(text: string): void;
  /** Something that is probably wrong; not with `--json`. */
  warn(text: string): void;
  /** A line on standard error, whatever the mode. */
  errorLine(text: string): void;
  style(style: Style, text: string): string;
}

/** Makes the output of one command. */
export function createOutput(stdout: Sink, stderr: Sink, mode: OutputMode): Output {
  const line = (sink: Sink, text: string) => void sink.write(`${text}\n`);
  const style = (kind: Style, text: string) => (mode.color ? styleText(kind, text, { validateStream: false }) : text);
  return {
    mode,
    isTerminal: stdout.isTTY === true,
    result(value, text) {
      if (mode.json) return line(stdout, JSON.stringify(value, undefined, 2));
      const shown = text();
      if (shown !== undefined) line(stdout, shown);
    },
    resultLine: (value, text) => line(stdout, mode.json ? JSON.stringify(value) : text()),
    note(text) {
      if (!mode.quiet && !mode.json) line(stderr, text);
    },
    warn(text) {
      if (!mode.json) line(stderr, `${style('yellow', 'warning:')} ${text}`);
    },
    errorLine: (text) => line(stderr, text),
    style,
  };
}

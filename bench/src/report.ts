import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { printTable } from './print-table.ts';

/** What a measure must be to be good enough. */
export interface Bar {
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** One measured number beside its bar. */
export interface Figure {
  readonly measure: string;
  readonly value: number;
  /** `` for a ratio. */
  readonly unit: '' | 'ms' | 'MiB' | 'requests/s';
  readonly bar: Bar;
  /** What the number was made of, for those who want to look closer. */
  readonly detail?: Readonly<Record<string, number | readonly number[]>>;
}

/** Gathers the figures of a run. */
export class Report {
  readonly figures: Figure[] = [];
  readonly #startedAt = new Date();

  /** Adds a figure. */
  add(figure: Figure): void {
    this.figures.push(figure);
  }

  /** Prints every figure beside its bar. */
  print(): void {
    printTable(
      'Measures beside their bars',
      ['measure', 'bar', 'measured', ''],
      this.figures.map(({ measure, value, unit, bar }) => [
        measure,
        `${bar.atLeast === undefined ? '≤' : '≥'} ${bar.atLeast ?? bar.atMost} ${unit}`.trim(),
        `${round(value)} ${unit}`.trim(),
        isMet(value, bar) ? 'met' : 'NOT MET',
      ]),
    );
  }

  /** Keeps the figures with a description of the machine under `bench/results/`; returns the file's path. */
  write(): string {
    const directory = fileURLToPath(new URL('../results/', import.meta.url));
    mkdirSync(directory, { recursive: true });
    const path = `${directory}${this.#startedAt.toISOString().slice(0, 10)}.json`;
    const machine = {
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: availableParallelism(),
      memoryGib: Math.round(totalmem() / 2 ** 30),
      kernel: release(),
      node: process.version,
      nginx: versionOf('nginx', ['-v']),
      docker: versionOf('docker', ['version', '--format', '{{.Server.Version}}']),
      commit: versionOf('git', ['rev-parse', '--short', 'HEAD']),
    };
    const figures = this.figures.map((figure) => ({ ...figure, met: isMet(figure.value, figure.bar) }));
    writeFileSync(path, `${JSON.stringify({ startedAt: this.#startedAt, machine, figures }, undefined, 2)}\n`);
    return path;
  }
}

function isMet(value: number, { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY }: Bar): boolean {
  return value >= atLeast && value <= atMost;
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function versionOf(command: string, args: readonly string[]): string {
  try {
    return (
      execFileSync('sh', ['-c', `${[command, ...args].map((text) => `'${text}'`).join(' ')} 2>&1`], {
        encoding: 'utf8',
      })
        .trim()
        .split('\n')[0] ?? ''
    );
  } catch {
    return 'absent';
  }
}

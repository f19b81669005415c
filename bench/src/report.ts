import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { printTable } from './print-table.ts';
import { RESULTS_DIR } from './result-files.ts';
import { describeBar, describeValue, type Figure, isMet, type Machine, type Results, type Series } from './results.ts';

/** Gathers what a run measures. */
export class Report {
  readonly series: Series = {};
  readonly #options: Readonly<Record<string, number>>;
  readonly #figures: Figure[] = [];
  readonly #missing: Record<string, string> = {};
  readonly #startedAt = new Date();
  #scenario = '';

  constructor(options: Readonly<Record<string, number>>) {
    this.#options = options;
  }

  /** What is added from now on belongs to this scenario. */
  begin(scenario: string): void {
    this.#scenario = scenario;
  }

  /** Adds a figure of the scenario that runs. */
  add(figure: Omit<Figure, 'scenario'>): void {
    this.#figures.push({ scenario: this.#scenario, ...figure });
  }

  /** Adds cold calls that took one way. */
  addCold(...paths: readonly NonNullable<Series['cold']>[number][]): void {
    this.series.cold = [...(this.series.cold ?? []), ...paths];
  }

  /** Says that the scenario that runs could not be measured, or not wholly. */
  leaveOut(reason: string): void {
    // The rest of an error is about where it ran.
    this.#missing[this.#scenario] = reason.split('\n', 1)[0] ?? reason;
    process.stdout.write(`\n${this.#scenario}: left out, ${reason}\n`);
  }

  /** Whether every scenario was measured. */
  get isWhole(): boolean {
    return Object.keys(this.#missing).length === 0;
  }

  /** Prints every figure beside its bar. */
  print(): void {
    printTable(
      'Measures beside their bars',
      ['measure', 'bar', 'measured', ''],
      this.#figures.map((figure) => [
        figure.measure,
        describeBar(figure),
        describeValue(figure),
        !figure.bar ? '' : isMet(figure.value, figure.bar) ? 'met' : 'NOT MET',
      ]),
    );
  }

  /** Keeps what there is so far with a description of the machine in a file; returns its path. */
  write(name: string): string {
    mkdirSync(RESULTS_DIR, { recursive: true });
    const path = `${RESULTS_DIR}${name}.json`;
    const results: Results = {
      startedAt: this.#startedAt.toISOString(),
      tookSeconds: Math.round((Date.now() - this.#startedAt.getTime()) / 1000),
      machine: describeMachine(),
      options: this.#options,
      missing: this.#missing,
      figures: this.#figures.map((figure) =>
        figure.bar ? Object.assign({ ...figure }, { met: isMet(figure.value, figure.bar) }) : figure,
      ),
      series: this.series,
    };
    writeFileSync(path, `${JSON.stringify(results, roundNumbers, 1)}\n`);
    return path;
  }
}

/** Nobody measures a millionth of a millisecond. */
function roundNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 10_000) / 10_000 : value;
}

function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    nginx: versionOf('nginx -v'),
    docker: versionOf("docker version --format '{{.Server.Version}}'"),
    commit: versionOf('git rev-parse --short HEAD'),
  };
}

function versionOf(command: string): string {
  try {
    const text = execFileSync('sh', ['-c', `${command} 2>&1`], { encoding: 'utf8' });
    return text.trim().split('\n')[0] ?? '';
  } catch {
    return 'absent';
  }
}

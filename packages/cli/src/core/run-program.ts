import { spawn } from 'node:child_process';

const LINES_KEPT = 20;

/** A program that did not do what it was asked, with its last lines. */
export class ProgramError extends Error {
  readonly isMissing: boolean;
  readonly lines: readonly string[];

  constructor(program: string, lines: readonly string[], cause: unknown) {
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    super(isMissing ? `the program "${program}" is not there` : `"${program}" failed`, { cause });
    this.isMissing = isMissing;
    this.lines = lines;
  }
}

/**
 * Runs a program of the host to its end, without input and without showing what it says. Throws {@link ProgramError}, and
 * the reason of `signal` once that aborts, which ends the program.
 */
export async function runProgram(
  program: string,
  words: readonly string[],
  options: {
    readonly cwd?: string;
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const said: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = spawn(program, words, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const keep = (chunk: Buffer): void => {
    said.push(
      ...chunk
        .toString('utf8')
        .split('\n')
        .filter((line) => line.trim() !== ''),
    );
    said.splice(0, said.length - LINES_KEPT);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  child.on('error', reject).on('close', (code) => {
    if (code === 0) resolve();
    else reject(new Error(`${program} ended with ${code}`));
  });
  try {
    await promise;
  } catch (error) {
    options.signal.throwIfAborted();
    throw new ProgramError(program, said, error);
  }
}

import { CliError } from '../core/cli-error.ts';
import type { CommandContext, OptionDefinition } from '../core/command.ts';
import { momentAheadOf } from '../core/moment.ts';

/** Options of a call that is accepted now and made later. */
export const ASYNC_OPTIONS: readonly OptionDefinition[] = [
  { flags: '--async', summary: 'have the call accepted now and made later; prints its id' },
  { flags: '--delay <time>', summary: 'with --async: begin no earlier than so long from now, such as 5m' },
  {
    flags: '--run-at <time>',
    summary: 'with --async: begin no earlier than this date and time, such as 2027-01-31T08:00',
  },
  { flags: '--priority <number>', summary: 'with --async: 0 to 9, higher ones of a function go first (default 4)' },
  { flags: '--key <key>', summary: 'with --async: what order, throttle and limits of keys go by' },
  { flags: '--idempotency-key <key>', summary: 'with --async: the same key and body again is the same call' },
  { flags: '--max-age <time>', summary: 'with --async: give it up when it is older, such as 6h' },
  { flags: '--callback <url>', summary: 'with --async: post the answer there' },
  { flags: '--wait', summary: 'with --async: wait until it has ended and print its answer' },
];

const TEXTS = ['delay', 'runAt', 'priority', 'key', 'idempotencyKey', 'maxAge', 'callback'] as const;

/** What a call made later carries, as the options say; undefined for a call that is made now. */
export interface AsyncOptions {
  readonly delay?: string | undefined;
  readonly runAt?: string | undefined;
  readonly priority?: number | undefined;
  readonly key?: string | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly maxAge?: string | undefined;
  readonly callback?: string | undefined;
}

/** Reads the options of a call that is made later; undefined without `--async`. Throws USAGE. */
export async function asyncOptionsOf({ parameters }: CommandContext): Promise<AsyncOptions | undefined> {
  if (!parameters.flag('async')) {
    const beside =
      TEXTS.find((name) => parameters.text(name) !== undefined) ?? (parameters.flag('wait') ? 'wait' : undefined);
    if (beside !== undefined) throw new CliError('USAGE', `"--${dashed(beside)}" goes with --async`);
    return undefined;
  }
  const runAt = parameters.text('runAt');
  const priority = parameters.count('priority', 0);
  if (priority !== undefined && priority > 9) {
    throw new CliError('USAGE', `"--priority" is "${priority}" but must be a whole number from 0 to 9`);
  }
  if (runAt !== undefined && parameters.text('delay') !== undefined) {
    throw new CliError('USAGE', 'give either --delay or --run-at, not both');
  }
  await checkDuration(parameters.text('delay'), '--delay', '5m');
  await checkDuration(parameters.text('maxAge'), '--max-age', '6h');
  return {
    delay: parameters.text('delay'),
    runAt: runAt === undefined ? undefined : await momentAheadOf(runAt, '--run-at'),
    priority,
    key: parameters.text('key'),
    idempotencyKey: parameters.text('idempotencyKey'),
    maxAge: parameters.text('maxAge'),
    callback: parameters.text('callback'),
  };
}

/** The server knows the bounds, but speaks of headers; what is no duration at all is said in the words of the option. */
async function checkDuration(text: string | undefined, option: string, example: string): Promise<void> {
  if (text === undefined) return;
  const { parseDurationMs } = await import('@ebb/contract');
  if (parseDurationMs(text) !== undefined) return;
  throw new CliError('USAGE', `"${option}" is "${text}" but must be a duration such as "${example}"`);
}

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

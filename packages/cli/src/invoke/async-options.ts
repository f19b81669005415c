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

/** RFC 9110 section 5.5, without blanks around it, which would be lost. */
const CARRIED = /^(?! )[\x20-\x7e\x80-\xff]+(?<! )$/;
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
  const given = parameters.text('runAt');
  if (given !== undefined && parameters.text('delay') !== undefined) {
    throw new CliError('USAGE', 'give either --delay or --run-at, not both');
  }
  const method = parameters.text('method');
  if (method !== undefined && method.toUpperCase() !== 'POST') {
    throw new CliError('USAGE', `"--method" is "${method}" but a call with --async is always a POST`);
  }
  const runAt = given === undefined ? undefined : await momentAheadOf(given, '--run-at');
  const { describeSubmitValue, SUBMIT_VALUES } = await import('@ebb/contract');
  const now = Date.now();
  for (const name of TEXTS) {
    const text = name === 'runAt' ? runAt : parameters.text(name);
    if (text === undefined) continue;
    // In the words of the option: the server would speak of the header that carries it.
    if (SUBMIT_VALUES[name].parse(text, now) === undefined) {
      throw new CliError('USAGE', describeSubmitValue(name, `"--${dashed(name)}"`, text));
    }
    if (!CARRIED.test(text)) {
      throw new CliError('USAGE', `"--${dashed(name)}" has characters that a header cannot carry; take others`);
    }
  }
  return {
    delay: parameters.text('delay'),
    runAt,
    priority: parameters.count('priority', 0),
    key: parameters.text('key'),
    idempotencyKey: parameters.text('idempotencyKey'),
    maxAge: parameters.text('maxAge'),
    callback: parameters.text('callback'),
  };
}

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

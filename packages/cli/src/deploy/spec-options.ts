import type { OptionDefinition } from '../core/command.ts';

/** Options of a deploy that say something about one function. */
export const SPEC_OPTIONS: readonly OptionDefinition[] = [
  { flags: '--name <name>', summary: 'name of the function, where there is no ebb.yaml' },
  { flags: '--runtime <name>', summary: 'managed runtime (default node)' },
  { flags: '--image <image>', summary: 'container image instead of code' },
  { flags: '--handler <file>', summary: 'handler file, optionally file#export' },
  { flags: '--port <port>', summary: 'port the image listens on' },
  { flags: '--env <pair>', summary: 'an environment variable as NAME=VALUE', repeats: true },
  { flags: '--secret <name>', summary: 'a secret to mount', repeats: true },
  { flags: '--memory <size>', summary: 'memory of an instance, such as 256Mi' },
  { flags: '--cpu <cores>', summary: 'cores of an instance, such as 0.5' },
  { flags: '--timeout <duration>', summary: 'longest time of a call, such as 60s' },
  { flags: '--concurrency <count>', summary: 'calls an instance handles at once' },
];

/**
 * `npm run soak:rollout`: does any change of a version, or of the server itself, fail a call? Prints a table and ends
 * with 0 only if none did. Options: `--seconds`, `--rate`, `--engine process|docker`, `--gateways`.
 */
import { parseArgs } from 'node:util';
import { describeSoak, failuresOf } from './describe-soak.ts';
import { runRolloutSoak } from './run-rollout-soak.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '180' },
    rate: { type: 'string', default: '500' },
    engine: { type: 'string', default: 'process' },
    gateways: { type: 'string', default: '0' },
  },
});

const result = await runRolloutSoak({
  engine: values.engine === 'docker' ? 'docker' : 'process',
  gateways: Number(values.gateways),
  durationMs: Number(values.seconds) * 1000,
  requestsPerSecond: Number(values.rate),
  longMs: 20_000,
  changeEveryMs: 5_000,
  takeover: true,
  say: (text) => console.log(text),
});
console.log(describeSoak(result));
process.exitCode = failuresOf(result).length === 0 ? 0 : 1;

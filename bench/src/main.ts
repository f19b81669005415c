/** `npm run bench [-- warm|cold|pool|many] [--seconds N] [--rounds N]`: what Ebb costs beside what it stands on. */
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { benchCold } from './cold.ts';
import { benchMany } from './many.ts';
import { benchPool } from './pool.ts';
import { benchWarm } from './warm.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '4' }, rounds: { type: 'string', default: '3' } },
});
const options = { seconds: Number(values.seconds), rounds: Number(values.rounds) };
const wanted = positionals.length === 0 ? ['warm', 'cold', 'pool', 'many'] : positionals;
process.stdout.write(
  `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, Node ${process.version}\n`,
);
if (wanted.includes('warm')) await benchWarm(options);
if (wanted.includes('cold')) await benchCold({ rounds: Math.max(5, options.rounds * 3) });
if (wanted.includes('pool')) await benchPool({ rounds: Math.max(10, options.rounds * 10) });
if (wanted.includes('many')) await benchMany(options);

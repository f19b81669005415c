/** `npm run bench [-- warm|cold|pool|image|many|thaw|mixed|stream|overload] [--seconds N] [--rounds N]`: what Ebb costs beside what it stands on. */
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { benchCold } from './cold.ts';
import { benchImage } from './image.ts';
import { benchMany } from './many.ts';
import { benchMixed } from './mixed.ts';
import { benchOverload } from './overload.ts';
import { benchPool } from './pool.ts';
import { Report } from './report.ts';
import { benchStream } from './stream.ts';
import { benchThaw } from './thaw.ts';
import { benchWarm } from './warm.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '4' }, rounds: { type: 'string', default: '3' } },
});
const options = { seconds: Number(values.seconds), rounds: Number(values.rounds) };
const wanted =
  positionals.length === 0
    ? ['warm', 'cold', 'pool', 'image', 'many', 'thaw', 'mixed', 'stream', 'overload']
    : positionals;
const report = new Report();
process.stdout.write(
  `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, Node ${process.version}\n`,
);
if (wanted.includes('warm')) await benchWarm(report, options);
if (wanted.includes('cold')) await benchCold({ rounds: Math.max(5, options.rounds * 3) });
if (wanted.includes('pool')) await benchPool({ rounds: Math.max(10, options.rounds * 10) });
if (wanted.includes('image')) await benchImage({ rounds: Math.max(5, options.rounds * 3) });
if (wanted.includes('many')) await benchMany(options);
if (wanted.includes('thaw')) await benchThaw({ rounds: Math.max(10, options.rounds * 3) });
if (wanted.includes('mixed')) await benchMixed(report, options);
if (wanted.includes('stream')) await benchStream(report, options);
if (wanted.includes('overload')) await benchOverload(report, options);
if (report.figures.length > 0) {
  report.print();
  process.stdout.write(`\nkept in ${report.write()}\n`);
}

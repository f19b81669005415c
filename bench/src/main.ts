/** `npm run bench [-- SCENARIO...] [--seconds N] [--rounds N]`: what Ebb costs beside what it stands on. */
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { benchCold } from './cold.ts';
import { benchGateways } from './gateways.ts';
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
const report = new Report();

const SCENARIOS: Readonly<Record<string, () => Promise<void>>> = {
  warm: () => benchWarm(report, options),
  gateways: () => benchGateways(report, options),
  cold: () => benchCold({ rounds: Math.max(5, options.rounds * 3) }),
  pool: () => benchPool({ rounds: Math.max(10, options.rounds * 10) }),
  image: () => benchImage({ rounds: Math.max(5, options.rounds * 3) }),
  thaw: () => benchThaw({ rounds: Math.max(10, options.rounds * 3) }),
  many: () => benchMany(options),
  mixed: () => benchMixed(report, options),
  stream: () => benchStream(report, options),
  overload: () => benchOverload(report, options),
};

const wanted = positionals.length === 0 ? Object.keys(SCENARIOS) : positionals;
const unknown = wanted.find((name) => !(name in SCENARIOS));
if (unknown !== undefined) {
  process.stderr.write(`there is no scenario "${unknown}", only ${Object.keys(SCENARIOS).join(', ')}\n`);
  process.exit(2);
}
process.stdout.write(
  `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, Node ${process.version}\n`,
);
for (const name of wanted) await SCENARIOS[name]?.();
if (report.figures.length > 0) {
  report.print();
  process.stdout.write(`\nkept in ${report.write()}\n`);
}

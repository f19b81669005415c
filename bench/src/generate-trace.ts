/**
 * Prints a trace of calls for `ebb simulate`: `node bench/src/generate-trace.ts [HOURS] [FUNCTIONS] [SEED] > trace.csv`.
 * The same arguments give the same trace. The mix follows what operators of function platforms have published: most
 * functions are called seldom, a few all the time; a third are driven by timers; load follows the day; calls come in
 * bursts; durations and memory spread over orders of magnitude.
 */
const [hours = 24, functions = 60, seed = 1] = process.argv.slice(2).map(Number);
if (![hours, functions, seed].every((value) => Number.isFinite(value) && value > 0)) {
  console.error('usage: node bench/src/generate-trace.ts [HOURS] [FUNCTIONS] [SEED]; each a number above 0');
  process.exit(2);
}

const HOUR_S = 3_600;
const random = createRandom(seed);
const endS = hours * HOUR_S;
const lines: { readonly at: number; readonly text: string }[] = [];

for (let index = 0; index < functions; index += 1) {
  const durationS = 0.02 * Math.exp(gaussian() * 1.3);
  const memoryMib = Math.round(Math.min(1_500, 60 * Math.exp(Math.abs(gaussian()) * 0.8)));
  const startMs = Math.round(120 + 2.2 * memoryMib * random());
  const kind =
    ['timer', 'timer', 'timer', 'rare', 'rare', 'rare', 'rare', 'daily', 'burst', 'busy'][index % 10] ?? 'rare';
  for (const at of arrivals(kind)) {
    const took = durationS * Math.exp(gaussian() * 0.3);
    const cells = [at.toFixed(3), `${kind}-${index}`, `${Math.max(1, Math.round(took * 1_000))}ms`];
    lines.push({ at, text: [...cells, `${memoryMib}Mi`, `${startMs}ms`].join(',') });
  }
}
lines.sort((a, b) => a.at - b.at);
process.stdout.write(`time,function,duration,memory,start\n${lines.map(({ text }) => text).join('\n')}\n`);

function* arrivals(kind: string): Generator<number> {
  if (kind === 'timer') {
    const everyS = [60, 300, 900, 1_800, 3_600, 7_200][Math.floor(random() * 6)] ?? 3_600;
    for (let at = random() * everyS; at < endS; at += everyS) yield at + random() * 2;
    return;
  }
  const meanGapS = { rare: 1_200 + random() * 3 * HOUR_S, daily: 60 + random() * 240, burst: 2 * HOUR_S, busy: 2 }[
    kind
  ];
  for (let at = exponential(meanGapS); at < endS; at += exponential(meanGapS)) {
    // By day there is three times as much to do as by night.
    const isKept = kind !== 'daily' || random() < 0.5 + 0.5 * Math.sin((2 * Math.PI * at) / (24 * HOUR_S));
    if (isKept) yield at;
    if (kind !== 'burst') continue;
    const size = 5 + Math.floor(random() * 40);
    for (let one = 1; one < size; one += 1) yield at + random() * 20;
  }
}

function exponential(mean = HOUR_S): number {
  return -Math.log(1 - random()) * mean;
}

function gaussian(): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Numbers from 0 to below 1 that follow from the seed (mulberry32). */
function createRandom(from: number): () => number {
  let state = from >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { drawPlots } from './draw-plots.ts';
import { describeBar, describeValue, type Results, type Simulation } from './results.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const IMAGES = 'docs/images/';
/** Pages with blocks between `<!-- bench:NAME -->` and `<!-- /bench -->`. */
const PAGES = ['docs/performance.md', 'docs/autoscaling.md'];
const PROFILE = 'bench/results/warm-profile.txt';
const MOST_PLACES = 12;
const GIB = 2 ** 30;

/** Everything that is made from a run, by path in the repository: pictures, and pages with their blocks filled in. */
function renderPages(results: Results): ReadonlyMap<string, string> {
  const pages = new Map<string, string>();
  for (const [name, picture] of drawPlots(results.series)) pages.set(`${IMAGES}${name}`, picture);
  const { profile } = results.series;
  if (profile) {
    const lines = profile.top.map(({ name, share }) => `${(share * 100).toFixed(2).padStart(6)} %  ${name}`);
    pages.set(
      PROFILE,
      `Busy time of the server on the warm path, by function, time in itself\n\n${lines.join('\n')}\n`,
    );
  }
  for (const path of PAGES) {
    pages.set(
      path,
      readFileSync(`${ROOT}${path}`, 'utf8').replaceAll(
        /(<!-- bench:(\w+) -->\n)[^]*?(<!-- \/bench -->)/g,
        (_all, begin: string, name: string, end: string) => `${begin}\n${renderBlock(name, results)}\n\n${end}`,
      ),
    );
  }
  return pages;
}

/** Paths of what on disk differs from what {@link renderPages} says. */
export function findStale(results: Results): readonly string[] {
  return [...renderPages(results)].filter(([path, content]) => readOrNothing(path) !== content).map(([path]) => path);
}

/** Writes all of {@link renderPages}; returns the paths. */
export function writePages(results: Results): readonly string[] {
  const pages = renderPages(results);
  for (const [path, content] of pages) writeFileSync(`${ROOT}${path}`, content);
  return [...pages.keys()];
}

function renderBlock(name: string, results: Results): string {
  switch (name) {
    case 'run':
      return renderRun(results);
    case 'measures':
      return renderMeasures(results);
    case 'profile':
      return renderProfile(results);
    case 'simulations':
      return renderSimulations(results.series.simulations ?? []);
    default:
      throw new Error(`there is no block "${name}" in a run of the benchmark`);
  }
}

function renderRun({ startedAt, tookSeconds, machine, options }: Results): string {
  const { cpu, cores, memoryGib, kernel, node, nginx, docker, commit } = machine;
  return (
    `Run of ${startedAt.slice(0, 10)} at commit ${commit}: ${cores} cores of ${cpu}, ${memoryGib} GiB, Linux ${kernel}, ` +
    `Node ${node.replace(/^v/, '')}, ${nginx.replace('nginx version: ', '')}, Docker ${docker}; ` +
    `${options['rounds']} times ${options['seconds']} s each, ${Math.ceil(tookSeconds / 60)} minutes in all.`
  );
}

function renderMeasures({ figures, missing }: Results): string {
  const rows = figures.map((figure) => {
    const verdict = figure.met === undefined ? '' : figure.met ? 'met' : '**not met**';
    return `| ${figure.measure} | ${describeBar(figure)} | ${describeValue(figure)} | ${verdict} |`;
  });
  const lacking = Object.entries(missing).map(
    ([scenario, reason]) => `| scenario \`${scenario}\` | | ${reason.split('\n')[0]} | **not measured** |`,
  );
  return ['| Measure | Bar | Measured | |', '|---|---|---|---|', ...rows, ...lacking].join('\n');
}

function renderProfile({ series: { profile } }: Results): string {
  if (!profile) return 'Not measured in this run.';
  const rows = profile.places
    .slice(0, MOST_PLACES)
    .map(({ name, share }) => `| ${name} | ${(share * 100).toFixed(1)} % |`);
  const rest = profile.places.slice(MOST_PLACES).reduce((sum, { share }) => sum + share, 0);
  return ['| Where | Of the busy time |', '|---|---|', ...rows, `| the rest | ${(rest * 100).toFixed(1)} % |`].join(
    '\n',
  );
}

function renderSimulations(simulations: readonly Simulation[]): string {
  const rows = simulations.flatMap(({ memoryBudgetBytes, results }) =>
    results.map((one) => {
      const budget = memoryBudgetBytes === undefined ? 'none' : `${memoryBudgetBytes / GIB} GiB`;
      const held = Math.round(one.memoryByteSeconds / GIB).toLocaleString('en');
      const counts = [one.prewarms, one.evictions].map((count) => count.toLocaleString('en'));
      return `| ${budget} | \`${one.keepAlive}\` | ${(one.coldShare * 100).toFixed(2)} % | ${held} | ${one.slowdownP99.toFixed(2)} | ${counts.join(' | ')} |`;
    }),
  );
  return [
    '| Budget | Policy | Cold calls | GiB s held | p99 slowdown | Started ahead | Made room |',
    '|---|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

function readOrNothing(path: string): string | undefined {
  try {
    return readFileSync(`${ROOT}${path}`, 'utf8');
  } catch {
    return undefined;
  }
}

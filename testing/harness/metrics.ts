import type { TestServer } from './server.ts';

/** The page that a server's metrics port shows a scraper; the server has to be started with `EBB_METRICS_LISTEN`. */
export async function readMetrics(server: TestServer): Promise<string> {
  return (await fetch(`${server.file.metricsUrl}/metrics`)).text();
}

/** The value of a series on such a page, its labels in any order; undefined where it is not there. */
export function valueOf(page: string, name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
  const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  for (const line of page.split('\n')) {
    const match = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match?.[1] !== name) continue;
    const has = (match[2] ?? '').split(/,(?=\w+=)/).filter((one) => one !== '');
    if (has.length === wanted.length && wanted.every((one) => has.includes(one))) return Number(match[3]);
  }
  return undefined;
}

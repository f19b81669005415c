import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** A server behind an image's own one that has not come up by then may never: calls say more than waiting does. */
const AT_MOST_MS = 10_000;
const PAUSE_MS = 10;
/** A socket that listens, in the kernel's table (`proc_net(5)`). */
const LISTENS = '0A';

/** What of a container says whether there is a server behind its own. */
export interface InnerServerFacts {
  /** Id of the container. */
  readonly id: string;
  /** Number of its first process on this host. */
  readonly pid: number;
  /** Its environment, the image's own with it; `NAME=value` each. */
  readonly env: readonly string[];
}

/**
 * The port to which the server of an image made for OpenFaaS passes calls on, by its environment; undefined where it
 * does not, or to another host.
 */
export function innerPort(env: readonly string[]): number | undefined {
  const values = new Map(env.map((entry) => [entry.split('=', 1)[0] ?? '', entry.slice(entry.indexOf('=') + 1)]));
  const url = values.get('upstream_url') ?? values.get('http_upstream_url') ?? '';
  const match = /^(?:http:\/\/)?(?:127\.0\.0\.1|localhost|0\.0\.0\.0|\[::1\]):(\d{1,5})(?:\/|$)/.exec(url);
  return values.get('mode') === 'http' && match ? Number(match[1]) : undefined;
}

/** Whether a table of sockets as the kernel shows it has one that listens on a port. */
export function hasListener(table: string, port: number): boolean {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return table.split('\n').some((line) => {
    const [, local = '', , state] = line.trim().split(/\s+/);
    return state === LISTENS && local.endsWith(suffix);
  });
}

/**
 * Resolves when the server behind the one of a container listens: the outer one is well before, and would answer the
 * first calls with errors. Nothing is sent to it, since that would be a call. Resolves too where that cannot be seen
 * from here, and after 10 seconds. Rejects with the signal's reason.
 */
export async function awaitInnerServer({ id, pid, env }: InnerServerFacts, signal: AbortSignal): Promise<void> {
  const port = innerPort(env);
  if (port === undefined) return;
  const groups = await read(`/proc/${pid}/cgroup`);
  // With a daemon elsewhere the number is another process's here.
  if (!groups?.includes(id)) return;
  const until = performance.now() + AT_MOST_MS;
  while (performance.now() < until) {
    const tables = await Promise.all([read(`/proc/${pid}/net/tcp`), read(`/proc/${pid}/net/tcp6`)]);
    const known = tables.filter((table) => table !== undefined);
    if (known.length === 0 || known.some((table) => hasListener(table, port))) return;
    await sleep(PAUSE_MS, undefined, { signal });
  }
}

async function read(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}

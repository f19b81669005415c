import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { recordCall, type Call, type CallKind, type RecordedCall } from './record-call.ts';
import { type SoakServer, type SoakServerOptions, startSoakServer } from './soak-server.ts';

/** How hard and how long. */
export interface RolloutSoakOptions extends SoakServerOptions {
  readonly durationMs: number;
  readonly requestsPerSecond: number;
  /** How long a long call takes. */
  readonly longMs: number;
  /** A deploy, a rollback and a weight change come within each such time. */
  readonly changeEveryMs: number;
  /** Whether a successor takes over in the middle. */
  readonly takeover: boolean;
  /** Told of each step. */
  readonly say?: (text: string) => void;
}

/** What a soak came to. */
export interface RolloutSoakResult {
  readonly calls: readonly RecordedCall[];
  readonly deploys: number;
  readonly rollbacks: number;
  readonly weightChanges: number;
  readonly takeovers: number;
  /** Why changes failed. */
  readonly failedChanges: readonly string[];
}

const NAME = 'soak';
const REF = { namespace: DEFAULT_NAMESPACE, name: NAME };
/** Of a hundred calls. */
const STREAMS = 3;
const STREAM_LINES = 10;
/** Long calls at once grow with their length; this many a second are enough. */
const LONG_PER_SECOND = 5;
const CONCURRENCY = '100';
/** Calls are sent in groups this often: timers are not finer. */
const TICK_MS = 10;

/**
 * Calls a function at a steady rate, in short, long and streamed calls over new and kept connections, while versions
 * are deployed, rolled back and weighted, and records every answer.
 */
export async function runRolloutSoak(options: RolloutSoakOptions): Promise<RolloutSoakResult> {
  await using server = await startSoakServer(options);
  await deploy(server, 1);
  const kept = new Agent({ keepAlive: true, maxSockets: Infinity });
  const over = new AbortController();
  try {
    const changes = change(server, options, over.signal);
    const calls = await load(server.url, kept, options);
    over.abort();
    return { calls, ...(await changes) };
  } finally {
    kept.destroy();
  }
}

async function load(url: string, kept: Agent, options: RolloutSoakOptions): Promise<RecordedCall[]> {
  const { durationMs, requestsPerSecond, longMs } = options;
  const base = `${url}/function/${NAME}`;
  const lineMs = Math.ceil(longMs / 4 / STREAM_LINES);
  const make: Record<CallKind, () => Pick<Call, 'url' | 'fault'>> = {
    short: () => ({ url: `${base}/version`, fault: notOneVersion(1) }),
    long: () => ({ url: `${base}/version?ms=${longMs}`, fault: notOneVersion(1) }),
    stream: () => ({
      url: `${base}/stream?count=${STREAM_LINES}&ms=${lineMs}`,
      fault: notOneVersion(STREAM_LINES, 'end'),
    }),
  };
  const longShare = Math.min(0.05, LONG_PER_SECOND / requestsPerSecond);
  const running: Promise<RecordedCall>[] = [];
  const startedMs = performance.now();
  let longs = 0;
  for (let elapsedMs = 0; elapsedMs < durationMs; elapsedMs = performance.now() - startedMs) {
    const due = Math.floor((elapsedMs / 1000) * requestsPerSecond);
    while (running.length < due) {
      const number = running.length;
      const isLong = Math.floor(number * longShare) >= longs;
      if (isLong) longs += 1;
      const kind: CallKind = isLong ? 'long' : number % 100 < STREAMS ? 'stream' : 'short';
      // Every second call on a connection of its own.
      running.push(recordCall({ kind, ...make[kind](), agent: number % 2 === 0 ? kept : false }));
    }
    await sleep(TICK_MS);
  }
  return Promise.all(running);
}

/** Whether an answer is wholly of one version, as many lines of it as asked for. */
function notOneVersion(lines: number, last?: string): (body: string) => string | undefined {
  return (body) => {
    const found = body.split('\n');
    const versions = found.slice(0, lines);
    if (versions.length < lines || versions.some((version) => version === '' || version !== versions[0])) {
      return `the answer is not of one version: ${body.slice(0, 100)}`;
    }
    return last === undefined || found[lines] === last ? undefined : 'the end of the stream is missing';
  };
}

async function change(server: SoakServer, options: RolloutSoakOptions, over: AbortSignal) {
  const { changeEveryMs, durationMs, say = () => {} } = options;
  const done = { deploys: 0, rollbacks: 0, weightChanges: 0, takeovers: 0 };
  const failedChanges: string[] = [];
  const startedMs = performance.now();
  const step = async (what: keyof typeof done, act: () => Promise<void>): Promise<void> => {
    if (over.aborted) return;
    try {
      await act();
      done[what] += 1;
    } catch (error) {
      failedChanges.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
    say(`${((performance.now() - startedMs) / 1000).toFixed(1)} s: ${what} ${done[what]}`);
  };
  for (let round = 1; !over.aborted; round += 1) {
    const untilMs = startedMs + round * changeEveryMs;
    await step('deploys', () => deploy(server, round + 1));
    await rest(changeEveryMs / 5, over);
    await step('rollbacks', async () => {
      const { newest, before } = await lastTwo(server);
      // By itself it goes to the version that last had all calls alone, which is before the split of the last round.
      const { version } = await server.client.functions.rollback(REF, round % 2 === 0 ? { to: before } : {});
      if (version === newest) throw new Error(`version ${newest} still has the calls after its rollback`);
    });
    await rest(changeEveryMs / 5, over);
    await step('weightChanges', async () => {
      const { newest, before } = await lastTwo(server);
      await setLive(server, { [before]: 70, [newest]: 30 });
    });
    if (options.takeover && done.takeovers === 0 && performance.now() - startedMs > durationMs / 2) {
      await step('takeovers', () => server.takeOver());
    }
    await rest(untilMs - performance.now(), over);
  }
  return { ...done, failedChanges };
}

async function deploy(server: SoakServer, number: number): Promise<void> {
  const options = ['--name', NAME, '--concurrency', CONCURRENCY, '--env', `LAB_VERSION=${number}`];
  await server.ebb('deploy', 'testing/fixtures/lab', ...options);
}

async function lastTwo({ client }: SoakServer): Promise<{ readonly newest: number; readonly before: number }> {
  const [newest, before] = (await client.functions.versions(REF)).map(({ version }) => version);
  if (newest === undefined || before === undefined) throw new Error('the function has no two versions');
  return { newest, before };
}

async function setLive({ client }: SoakServer, versions: Readonly<Record<string, number>>): Promise<void> {
  await client.aliases.set(REF, 'live', { versions });
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await sleep(ms, undefined, { signal }).catch(() => {});
}

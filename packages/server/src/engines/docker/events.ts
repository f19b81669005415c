import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineEvent } from '../engine.ts';
import { askStream } from './dial.ts';
import type { DockerClient } from './docker-client.ts';
import { fromDockerLabels, INSTALLATION_LABEL } from './instance-labels.ts';
import { hasEnded, inspectContainer } from './stop-container.ts';
import { toExit } from './to-exit.ts';

/** What {@link watchEvents} needs. */
export interface WatchEventsOptions {
  readonly client: DockerClient;
  readonly installation: string;
  readonly signal: AbortSignal;
  /** Moment (Unix epoch) from which on nothing may be missed; opening the stream takes a while. */
  readonly sinceMs: number;
  /** Called before each `resync` after the stream broke: the daemon may have restarted. */
  readonly onReconnect: () => Promise<void>;
  /** Pause after the first failure; doubled up to twenty times. */
  readonly pauseMs?: number;
}

/** A line longer than this is not an event of ours. */
const MAX_EVENT_BYTES = 2 ** 20;

/**
 * Hints of the daemon about an installation's instances until `signal` aborts. A broken stream is opened again, with
 * growing pauses, and announced by `resync`. A process that ran out of memory counts as the end of its instance even
 * if the first process lives on, since what is left of it cannot be trusted. Never throws.
 */
export async function* watchEvents(options: WatchEventsOptions): AsyncIterable<EngineEvent> {
  const { client, installation, signal } = options;
  const firstPauseMs = options.pauseMs ?? 100;
  let pauseMs = firstPauseMs;
  let sinceMs = options.sinceMs;
  let isBroken = false;
  while (!signal.aborted) {
    try {
      const stream = await openStream(client, installation, sinceMs, signal);
      if (isBroken) {
        await options.onReconnect();
        yield { kind: 'resync' };
      }
      pauseMs = firstPauseMs;
      for await (const event of readEvents(stream)) {
        sinceMs = event.atMs;
        const hint = await toHint(client, installation, event);
        if (hint) yield hint;
      }
    } catch {
      // Whatever it was, the stream is opened again.
    }
    isBroken = true;
    if (signal.aborted) return;
    await sleep(pauseMs, undefined, { signal }).catch(() => {});
    pauseMs = Math.min(pauseMs * 2, firstPauseMs * 20);
  }
}

interface DockerEvent {
  readonly action: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly containerId: string;
  readonly atMs: number;
}

async function openStream(
  client: DockerClient,
  installation: string,
  sinceMs: number,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  // The stream lives longer than the call that opens it, so it gets the outer signal.
  const open = () =>
    askStream(client.docker, '/events', signal, {
      since: (sinceMs / 1000).toFixed(3),
      filters: JSON.stringify({
        type: ['container'],
        event: ['die', 'oom'],
        label: [`${INSTALLATION_LABEL}=${installation}`],
      }),
    });
  return client.call('open the event stream', client.deadlines.queryMs, open, signal);
}

async function* readEvents(stream: AsyncIterable<Uint8Array>): AsyncIterable<DockerEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_EVENT_BYTES) throw new Error('an event of Docker is too long');
    for (const line of lines) {
      const event = parseEvent(line);
      if (event) yield event;
    }
  }
}

function parseEvent(line: string): DockerEvent | undefined {
  if (line.trim() === '') return undefined;
  const event = JSON.parse(line) as {
    Action?: unknown;
    timeNano?: unknown;
    Actor?: { ID?: unknown; Attributes?: Record<string, string> };
  };
  if (typeof event.Action !== 'string' || typeof event.Actor?.ID !== 'string') return undefined;
  return {
    action: event.Action,
    attributes: event.Actor.Attributes ?? {},
    containerId: event.Actor.ID,
    atMs: Number(event.timeNano ?? 0) / 1e6,
  };
}

async function toHint(
  client: DockerClient,
  installation: string,
  event: DockerEvent,
): Promise<EngineEvent | undefined> {
  const instance = fromDockerLabels(event.attributes, installation);
  if (!instance) return undefined;
  if (event.action === 'oom') return { kind: 'exited', id: instance.id, exit: { outOfMemory: true } };
  const code = Number(event.attributes['exitCode'] ?? 0);
  const container = client.docker.getContainer(event.containerId);
  // The daemon announces an end shortly before its own lists show it.
  await hasEnded(client, container, client.deadlines.queryMs).catch(() => {});
  const info = code === 137 ? await inspectContainer(client, container).catch(() => undefined) : undefined;
  const outOfMemory = info?.State.OOMKilled ?? false;
  return { kind: 'exited', id: instance.id, exit: toExit(code, outOfMemory) };
}

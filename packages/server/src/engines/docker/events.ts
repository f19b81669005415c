import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineEvent } from '../engine.ts';
import { type DockerClient } from './docker-client.ts';
import { fromDockerLabels, INSTALLATION_LABEL } from './instance-labels.ts';
import { inspectContainer } from './stop-container.ts';
import { toExit } from './to-exit.ts';

/** What {@link watchEvents} needs. */
export interface WatchEventsOptions {
  readonly client: DockerClient;
  readonly installation: string;
  readonly signal: AbortSignal;
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
  let wasOpen = false;
  while (!signal.aborted) {
    try {
      const stream = await openStream(client, installation, signal);
      if (wasOpen) await options.onReconnect();
      // What happened before the stream opened is known to nobody, the first time as well as later.
      yield { kind: 'resync' };
      wasOpen = true;
      pauseMs = firstPauseMs;
      for await (const event of readEvents(stream)) {
        const hint = await toHint(client, installation, event);
        if (hint) yield hint;
      }
    } catch {
      wasOpen = true;
    }
    if (signal.aborted) return;
    await sleep(pauseMs, undefined, { signal }).catch(() => {});
    pauseMs = Math.min(pauseMs * 2, firstPauseMs * 20);
  }
}

interface DockerEvent {
  readonly action: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly containerId: string;
}

async function openStream(
  client: DockerClient,
  installation: string,
  signal: AbortSignal,
): Promise<AsyncIterable<unknown>> {
  // The stream lives longer than the call that opens it, so it gets the outer signal.
  const opened = client.docker.getEvents({
    filters: JSON.stringify({
      type: ['container'],
      event: ['die', 'oom'],
      label: [`${INSTALLATION_LABEL}=${installation}`],
    }),
    abortSignal: signal,
  });
  opened.then(
    (stream) => signal.addEventListener('abort', () => destroy(stream), { once: true }),
    () => {},
  );
  return (await client.call(
    'open the event stream',
    client.deadlines.queryMs,
    () => opened,
    signal,
  )) as AsyncIterable<unknown> & NodeJS.ReadableStream;
}

function destroy(stream: NodeJS.ReadableStream): void {
  if ('destroy' in stream && typeof stream.destroy === 'function') stream.destroy();
}

async function* readEvents(stream: AsyncIterable<unknown>): AsyncIterable<DockerEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n');
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
  const event = JSON.parse(line) as { Action?: unknown; Actor?: { ID?: unknown; Attributes?: Record<string, string> } };
  if (typeof event.Action !== 'string' || typeof event.Actor?.ID !== 'string') return undefined;
  return { action: event.Action, attributes: event.Actor.Attributes ?? {}, containerId: event.Actor.ID };
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
  let outOfMemory = false;
  if (code === 137) {
    const info = await inspectContainer(client, client.docker.getContainer(event.containerId)).catch(() => undefined);
    outOfMemory = info?.State.OOMKilled ?? false;
  }
  return { kind: 'exited', id: instance.id, exit: toExit(code, outOfMemory) };
}

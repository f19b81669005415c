import type { InstanceExit } from '../engine.ts';
import { askStream } from './dial.ts';
import type { DockerClient } from './docker-client.ts';

/** The daemon remembers so many events, of its present run alone. */
const REMEMBERED_EVENTS = 256;
/** A daemon that comes up again gives what it finds dead this exit code. */
const FOUND_DEAD = 255;

/**
 * Whether a container that ended while no server followed it may have been ended by a daemon or host that went down: then
 * its exit code says nothing. Throws as {@link DockerClient.call} does.
 */
export async function mayBeLost(client: DockerClient, name: string, exit: InstanceExit): Promise<boolean> {
  if (exit.outOfMemory) return false;
  if (exit.signal === 'SIGTERM' || exit.signal === 'SIGKILL' || exit.code === FOUND_DEAD) return true;
  const events = await client.call('read past events', client.deadlines.queryMs, async (signal) => {
    const query = { since: '0', until: (Date.now() / 1000).toFixed(3) };
    const stream = await askStream(client.docker, '/events', signal, query);
    return Buffer.concat(await Array.fromAsync(stream))
      .toString()
      .split('\n')
      .filter(Boolean);
  });
  // With as many as it keeps, older ones may be forgotten, and nothing is known.
  if (events.length >= REMEMBERED_EVENTS) return false;
  return !events.some((line) => isStartOf(JSON.parse(line) as DockerEvent, name));
}

interface DockerEvent {
  readonly Action?: string;
  readonly Actor?: { readonly Attributes?: { readonly name?: string } };
}

function isStartOf({ Action, Actor }: DockerEvent, name: string): boolean {
  return Action === 'start' && Actor?.Attributes?.name === name;
}

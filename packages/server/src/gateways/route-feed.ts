import type { VersionKey } from '@ebb/contract';
import type { FunctionRecord, FunctionRegistry, NamespaceRegistry, RegistryChange, Version } from '../core/ports.ts';
import { routedRecord, type ToGateway } from './messages.ts';

/** A version that was replaced, or called by its number, is still found for this long: calls resolved to it may be on their way (V2). */
const REPLACED_MS = 60_000;
/** Longest time a deploy waits for a gateway to hear of it. */
const SETTLE_MS = 1_000;

/** One gateway that is told of changes. */
export interface RouteFollower {
  /** It knows everything up to the change of this number. */
  knows(seq: number): void;
  leave(): void;
}

/** Tells gateways which versions serve. */
export interface RouteFeed extends Disposable {
  /** What a new gateway begins with; what changes from now on it is sent. */
  join(send: (message: ToGateway) => void): {
    readonly records: readonly FunctionRecord[];
    readonly follower: RouteFollower;
  };
  /** Tells every gateway whether calls of a namespace have to ask if they may pass. */
  tellRate(namespace: string, isLimited: boolean): void;
  /** Resolves when every gateway knows what the registry knows now, so that who deployed calls the new version. */
  settled(): Promise<void>;
  /** Has a version be found for a while, though no alias refers to it. */
  keep(version: Version): void;
  /** A version that serves, did a moment ago or was kept. */
  versionOf(key: VersionKey): Version | undefined;
}

/** Follows the registry on behalf of the gateways. */
export function createRouteFeed(registry: Pick<FunctionRegistry, 'list' | 'watch' | 'resolve'>): RouteFeed {
  interface Follower {
    readonly send: (message: ToGateway) => void;
    knownSeq: number;
  }
  const followers = new Set<Follower>();
  const replaced = new Map<VersionKey, Version>();
  const forgetting = new Map<VersionKey, NodeJS.Timeout>();
  const waiting = new Set<() => void>();
  let seq = 0;

  const watching = registry.watch((change) => {
    for (const version of change.previous?.versions ?? []) keep(version);
    seq += 1;
    const message: ToGateway = { kind: 'route', seq, change: trimmed(change) };
    for (const { send } of followers) send(message);
  });

  function keep(version: Version): void {
    const { key } = version;
    replaced.set(key, version);
    clearTimeout(forgetting.get(key));
    const forget = () => {
      replaced.delete(key);
      forgetting.delete(key);
    };
    forgetting.set(key, setTimeout(forget, REPLACED_MS).unref());
  }

  function look(): void {
    for (const check of waiting) check();
  }

  return {
    join(send) {
      const follower: Follower = { send, knownSeq: seq };
      followers.add(follower);
      return {
        records: registry.list().map(routedRecord),
        follower: {
          knows(known) {
            follower.knownSeq = known;
            look();
          },
          leave() {
            followers.delete(follower);
            look();
          },
        },
      };
    },
    tellRate(namespace, isLimited) {
      seq += 1;
      for (const { send } of followers) send({ kind: 'rate', seq, namespace, isLimited });
    },
    settled() {
      const wanted = seq;
      const isKnown = () => [...followers].every(({ knownSeq }) => knownSeq >= wanted);
      if (isKnown()) return Promise.resolve();
      return new Promise((resolve) => {
        const end = () => {
          clearTimeout(timer);
          waiting.delete(check);
          resolve();
        };
        const check = () => {
          if (isKnown()) end();
        };
        const timer = setTimeout(end, SETTLE_MS);
        waiting.add(check);
      });
    },
    keep,
    versionOf(key) {
      const [path = '', number] = key.split('@');
      const [namespace = '', name = ''] = path.split('/');
      const versions = registry.resolve(namespace, name)?.versions;
      return versions?.find(({ version }) => version === Number(number)) ?? replaced.get(key);
    },
    [Symbol.dispose]() {
      watching[Symbol.dispose]();
      for (const timer of forgetting.values()) clearTimeout(timer);
    },
  };
}

/** A registry whose changes are done only when every gateway knows of them: the control API's. */
export function knownEverywhere<T extends FunctionRegistry>(registry: T, feed: RouteFeed): T {
  const settled = async <R>(change: Promise<R>): Promise<R> => {
    const result = await change;
    await feed.settled();
    return result;
  };
  return {
    ...registry,
    put: (input, options) => settled(registry.put(input, options)),
    setAlias: (namespace, name, alias, spec, options) =>
      settled(registry.setAlias(namespace, name, alias, spec, options)),
    removeAlias: (namespace, name, alias) => settled(registry.removeAlias(namespace, name, alias)),
    rollback: (namespace, name, to) => settled(registry.rollback(namespace, name, to)),
    publish: (namespace, name, version, given) => settled(registry.publish(namespace, name, version, given)),
    remove: (namespace, name) => settled(registry.remove(namespace, name)),
  };
}

/** Namespaces whose limits are set only when every gateway knows of them. */
export function limitedEverywhere(namespaces: NamespaceRegistry, feed: RouteFeed): NamespaceRegistry {
  return {
    ...namespaces,
    async setLimits(name, limits) {
      const namespace = await namespaces.setLimits(name, limits);
      await feed.settled();
      return namespace;
    },
  };
}

function trimmed(change: RegistryChange): RegistryChange {
  // What was before is known there.
  if (change.kind === 'removed') return { kind: 'removed', previous: routedRecord(change.previous) };
  const { record, previous } = change;
  return { kind: 'changed', record: routedRecord(record), ...(previous && { previous: routedRecord(previous) }) };
}

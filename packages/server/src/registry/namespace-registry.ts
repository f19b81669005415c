import { DEFAULT_NAMESPACE, type NamespaceLimits, namespaceLimitsSchema, type NamespaceResource } from '@ebb/contract';
import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import type { NamespaceFacts, NamespaceRegistry, StoredNamespace } from '../core/ports.ts';
import type { Entry, KeyValue } from '../store/key-value.ts';
import { decideReserved } from './decide-reserved.ts';
import { requireName } from './require-name.ts';
import { functionKey, namespaceKey, NAMESPACES, NEXT_NAMESPACE_ID, secretKey, signingKeyKey } from './store-keys.ts';
import { createTurns } from './turns.ts';

const recordSchema = z.object({
  id: z.number().int().positive(),
  createdAt: z.iso.datetime(),
  limits: namespaceLimitsSchema.optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});

/** The host, in percent. */
const WHOLE_HOST = 100;

/** What the registry of namespaces is built from. */
export interface NamespaceRegistryOptions {
  readonly store: KeyValue;
  readonly clock: Clock;
  /** Calls at once that the functions of a namespace have reserved together. Default: none. */
  readonly reservedCalls?: (namespace: string) => number;
  /**
   * Forgets what else there is of a namespace that is about to be removed, or throws NAMESPACE_NOT_EMPTY. Default: there
   * is nothing.
   */
  readonly empty?: (namespace: string) => Promise<void>;
}

/**
 * Opens the registry of namespaces and makes the default one at the first start. Ids start at 1 and are never given
 * out twice, even after a namespace was removed. Throws STORE_FAILED.
 */
export async function createNamespaceRegistry(options: NamespaceRegistryOptions): Promise<NamespaceRegistry> {
  const { store, clock, reservedCalls = () => 0, empty } = options;
  const listeners = new Set<(namespace: NamespaceResource) => void>();
  const namespaces = new Map<string, StoredNamespace>();
  const turns = createTurns();
  for (const entry of await store.list(NAMESPACES)) {
    const namespace = parse(entry);
    namespaces.set(namespace.name, namespace);
  }

  const create = async (name: string, facts: NamespaceFacts = {}): Promise<NamespaceResource> => {
    const present = namespaces.get(name);
    if (present) return present;
    const counter = await store.get(NEXT_NAMESPACE_ID);
    const id = Number(counter?.value ?? 1);
    const createdAt = new Date(clock.now()).toISOString();
    const result = await store.commit([
      { kind: 'set', key: NEXT_NAMESPACE_ID, value: String(id + 1), ifVersion: counter?.version ?? 0 },
      { kind: 'set', key: namespaceKey(name), value: JSON.stringify({ id, createdAt, ...facts }), ifVersion: 0 },
    ]);
    if (result.kind === 'conflict') {
      throw new EbbError('CONFLICT', `somebody else made namespace "${name}" at the same time; try again`);
    }
    const namespace = { name, id, createdAt, ...facts };
    namespaces.set(name, namespace);
    return namespace;
  };

  const requireLimits = (name: string, { concurrency, reserved = 0 }: NamespaceLimits): void => {
    const calls = reservedCalls(name);
    if (concurrency !== undefined && concurrency < calls) {
      throw new EbbError(
        'LIMITS_INVALID',
        `"concurrency" is ${concurrency} but the functions of namespace "${name}" have ${calls} calls reserved; set it to ${calls} at least, or lower their "limits.reserved"`,
      );
    }
    const others = Array.from(namespaces.values(), (one) => ({ name: one.name, amount: one.limits?.reserved ?? 0 }));
    const { fits, left } = decideReserved({ name, amount: reserved }, others, WHOLE_HOST);
    if (fits) return;
    throw new EbbError(
      'LIMITS_INVALID',
      `"reserved" is ${reserved} percent of the host, of which other namespaces leave ${left}`,
    );
  };

  const setLimits = async (name: string, limits: NamespaceLimits): Promise<NamespaceResource> => {
    const present = namespaces.get(name);
    if (!present) throw new EbbError('NAMESPACE_NOT_FOUND', `there is no namespace "${name}"`);
    requireLimits(name, limits);
    const { limits: _before, ...rest } = present;
    const namespace: StoredNamespace = Object.keys(limits).length === 0 ? rest : { ...rest, limits };
    const { name: _name, ...record } = namespace;
    await store.commit([{ kind: 'set', key: namespaceKey(name), value: JSON.stringify(record) }]);
    namespaces.set(name, namespace);
    for (const listener of listeners) listener(namespace);
    return namespace;
  };

  const describe = async (name: string, facts: NamespaceFacts): Promise<void> => {
    const present = namespaces.get(name);
    if (!present) throw new EbbError('NAMESPACE_NOT_FOUND', `there is no namespace "${name}"`);
    const namespace: StoredNamespace = { ...present, ...facts };
    const { name: _name, ...record } = namespace;
    await store.commit([{ kind: 'set', key: namespaceKey(name), value: JSON.stringify(record) }]);
    namespaces.set(name, namespace);
  };

  const requireEmpty = async (name: string): Promise<void> => {
    const [functions, secrets] = await Promise.all([store.list(functionKey(name)), store.list(secretKey(name))]);
    if (functions.length + secrets.length === 0) return;
    throw new EbbError(
      'NAMESPACE_NOT_EMPTY',
      `namespace "${name}" still holds ${count(functions.length, 'function')} and ${count(secrets.length, 'secret')}; remove them first`,
    );
  };

  const remove = async (name: string): Promise<void> => {
    const namespace = namespaces.get(name);
    if (!namespace) throw new EbbError('NAMESPACE_NOT_FOUND', `there is no namespace "${name}"`);
    // Hidden first: whoever looks after this finds no namespace, whoever looked before has already asked the store to
    // write, and the store keeps the order.
    namespaces.delete(name);
    try {
      await requireEmpty(name);
      await empty?.(name);
      await store.commit([
        { kind: 'delete', key: namespaceKey(name) },
        { kind: 'delete', key: signingKeyKey(name) },
      ]);
      // What is made under its name later begins without limits.
      for (const listener of listeners) listener({ name, createdAt: namespace.createdAt });
    } catch (error) {
      namespaces.set(name, namespace);
      throw error;
    }
  };

  await create(DEFAULT_NAMESPACE);

  return {
    list: () => [...namespaces.values()].sort((left, right) => (left.name < right.name ? -1 : 1)),

    get: (name) => namespaces.get(name),

    async create(name, facts) {
      requireName(name, 'namespace');
      return turns.run('namespaces', () => create(name, facts));
    },

    describe: (name, facts) => turns.run('namespaces', () => describe(name, facts)),

    setLimits: (name, limits) => turns.run('namespaces', () => setLimits(name, limits)),

    watch(listener) {
      const own = (namespace: NamespaceResource): void => listener(namespace);
      listeners.add(own);
      return {
        [Symbol.dispose]() {
          listeners.delete(own);
        },
      };
    },

    async remove(name) {
      if (name === DEFAULT_NAMESPACE) {
        throw new EbbError('INVALID_REQUEST', `the default namespace "${DEFAULT_NAMESPACE}" cannot be removed`);
      }
      await turns.run('namespaces', () => remove(name));
    },
  };
}

function parse(entry: Entry): StoredNamespace {
  try {
    return { name: entry.key.slice(NAMESPACES.length), ...recordSchema.parse(JSON.parse(entry.value)) };
  } catch (cause) {
    throw new EbbError(
      'STORE_FAILED',
      `the stored record "${entry.key}" cannot be read by this version of Ebb; start the version that wrote it, or put back a backup`,
      { cause },
    );
  }
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

import { aliasSpecSchema, functionSpecSchema, resolveLimits, versionKey } from '@ebb/contract';
import { expect, test } from 'vitest';
import type { FunctionRecord, RegistryChange, Version } from '../core/ports.ts';
import { RouteTable } from './route-table.ts';

function versionOf(name: string, number: number): Version {
  const spec = functionSpecSchema.parse({ runtime: 'node' });
  const key = versionKey('openfaas-fn', name, number);
  const own = { namespace: 'openfaas-fn', name, version: number };
  return { key, ...own, digest: '', spec, limits: resolveLimits(spec), createdAt: 0 };
}

function recordOf(name: string, weights: Readonly<Record<string, Record<string, number>>>): FunctionRecord {
  const numbers = new Set(Object.values(weights).flatMap((one) => Object.keys(one).map(Number)));
  const versions = [...numbers].map((number) => versionOf(name, number));
  const aliases = Object.entries(weights).map(([alias, given]) => ({
    name: alias,
    spec: aliasSpecSchema.parse({ versions: given }),
    updatedAt: 0,
  }));
  const [live = versionOf(name, 1)] = versions;
  return { namespace: 'openfaas-fn', name, live, aliases, versions, createdAt: 0, updatedAt: 0 };
}

function createTable(records: readonly FunctionRecord[]) {
  let tell = (_change: RegistryChange): void => {};
  const watch = (listener: (change: RegistryChange) => void) => {
    tell = listener;
    return { [Symbol.dispose]: () => {} };
  };
  const table = new RouteTable(
    { list: () => records, watch },
    {
      findVersion: () => Promise.reject(new Error('unused')),
    },
  );
  return { table, tell: (change: RegistryChange) => tell(change) };
}

const labelOf = (found: ReturnType<RouteTable['find']>) =>
  found.kind === 'route' ? found.versionLabel : found.kind === 'missing' ? found.code : found.kind;

test('a plain function is one route, by whatever name it is found', () => {
  const { table } = createTable([recordOf('f', { live: { 3: 100 } })]);
  const route = table.find('f');
  for (const segment of ['f.openfaas-fn', 'f:live', 'f@3', 'f.openfaas-fn:live', 'f.openfaas-fn@3']) {
    expect(table.find(segment)).toBe(route);
  }
  expect(labelOf(table.find('f@2'))).toBe('unlisted');
});

test.each([
  ['g', 'FUNCTION_NOT_FOUND'],
  ['', 'FUNCTION_NOT_FOUND'],
  ['f.other', 'FUNCTION_NOT_FOUND'],
  ['__proto__', 'FUNCTION_NOT_FOUND'],
  ['g:live', 'FUNCTION_NOT_FOUND'],
  ['f:beta', 'ALIAS_NOT_FOUND'],
  ['f:live:live', 'ALIAS_NOT_FOUND'],
  ['f:constructor', 'ALIAS_NOT_FOUND'],
  ['f@', 'VERSION_NOT_FOUND'],
  ['f@v1', 'VERSION_NOT_FOUND'],
  ['f@1:live', 'VERSION_NOT_FOUND'],
  ['f@9999999999', 'VERSION_NOT_FOUND'],
])('%j is %s', (segment, code) => {
  const { table } = createTable([recordOf('f', { live: { 1: 100 } })]);
  expect(labelOf(table.find(segment))).toBe(code);
});

test('a change is in force at once, and a removed function is gone by every name', () => {
  const before = recordOf('f', { live: { 1: 100 } });
  const { table, tell } = createTable([before]);
  const record = recordOf('f', { live: { 2: 50, 3: 50 }, beta: { 4: 100 } });
  tell({ kind: 'changed', record, previous: before });
  expect(['f', 'f@2', 'f:beta', 'f@1'].map((one) => labelOf(table.find(one)))).toEqual([
    'fork',
    'f@2',
    'f@4',
    'unlisted',
  ]);
  tell({ kind: 'removed', previous: record });
  expect(['f', 'f.openfaas-fn', 'f:beta', 'f@2'].map((one) => labelOf(table.find(one)))).toEqual(
    Array(4).fill('FUNCTION_NOT_FOUND'),
  );
});

test('turns go on when another alias of the function changes, and begin anew when the split does', () => {
  const split = { live: { 1: 50, 2: 50 } };
  const before = recordOf('f', split);
  const { table, tell } = createTable([before]);
  const fork = table.find('f');
  const record = recordOf('f', { ...split, beta: { 3: 100 } });
  tell({ kind: 'changed', record, previous: before });
  expect(table.find('f')).toBe(fork);
  tell({ kind: 'changed', record: recordOf('f', { live: { 1: 60, 2: 40 } }), previous: record });
  expect(table.find('f')).not.toBe(fork);
});

test('a removed function that is deployed anew has nothing of the old one', () => {
  const record = recordOf('f', { live: { 1: 50, 2: 50 } });
  const { table, tell } = createTable([record]);
  const fork = table.find('f');
  tell({ kind: 'removed', previous: record });
  tell({ kind: 'changed', record });
  expect(table.find('f')).not.toBe(fork);
});

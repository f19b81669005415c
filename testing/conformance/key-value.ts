import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CommitResult, KeyValue, Write } from '../../packages/server/src/store/key-value.ts';
import { createMemoryKeyValue } from '../../packages/server/src/store/memory/memory-key-value.ts';

const COMMITTED: CommitResult = { kind: 'committed' };

/** What every {@link KeyValue} promises; `open` gives an empty one. */
export function keyValueConformance(name: string, open: () => Promise<KeyValue>): void {
  describe(`KeyValue: ${name}`, () => {
    test('a key that was never written is absent', async () => {
      await using store = await open();
      expect(await store.get('a')).toBeUndefined();
      expect(await store.list('')).toEqual([]);
    });

    test('a written value is read back and its version counts the writes', async () => {
      await using store = await open();
      await store.commit([{ kind: 'set', key: 'a', value: '1' }]);
      await store.commit([{ kind: 'set', key: 'a', value: '2' }]);
      expect(await store.get('a')).toEqual({ key: 'a', value: '2', version: 2 });
    });

    test('a deleted key is absent and starts again at version 1', async () => {
      await using store = await open();
      await store.commit([{ kind: 'set', key: 'a', value: '1' }]);
      await store.commit([{ kind: 'delete', key: 'a' }]);
      expect(await store.get('a')).toBeUndefined();
      await store.commit([{ kind: 'set', key: 'a', value: '2' }]);
      expect(await store.get('a')).toEqual({ key: 'a', value: '2', version: 1 });
    });

    test('deleting what is absent is no error', async () => {
      await using store = await open();
      expect(await store.commit([{ kind: 'delete', key: 'a' }])).toEqual(COMMITTED);
    });

    test('a conflict names the key and writes nothing of the commit', async () => {
      await using store = await open();
      await store.commit([{ kind: 'set', key: 'b', value: 'old' }]);
      const result = await store.commit([
        { kind: 'set', key: 'a', value: 'new' },
        { kind: 'set', key: 'b', value: 'new', ifVersion: 0 },
      ]);
      expect(result).toEqual({ kind: 'conflict', key: 'b' });
      expect((await store.list('')).map(({ key, value }) => [key, value])).toEqual([['b', 'old']]);
    });

    test('of commits that expect the same version exactly one wins', async () => {
      await using store = await open();
      const results = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          store.commit([{ kind: 'set', key: 'a', value: String(index), ifVersion: 0 }]),
        ),
      );
      expect(results.filter(({ kind }) => kind === 'committed')).toHaveLength(1);
      expect((await store.get('a'))?.version).toBe(1);
    });

    test('operations take effect in the order they were asked for, awaited or not', async () => {
      await using store = await open();
      const before = store.get('a');
      const write = store.commit([{ kind: 'set', key: 'a', value: '1' }]);
      const between = store.get('a');
      const removal = store.commit([{ kind: 'delete', key: 'a' }]);
      const after = store.list('a');
      expect(await before).toBeUndefined();
      expect(await write).toEqual(COMMITTED);
      expect(await between).toEqual({ key: 'a', value: '1', version: 1 });
      expect(await removal).toEqual(COMMITTED);
      expect(await after).toEqual([]);
    });

    test('list gives exactly the keys with the prefix, in code-unit order', async () => {
      await using store = await open();
      const keys = [
        'a',
        'a/',
        'a/1',
        'a/\u{ffff}',
        'a/\u{10ffff}',
        'a/\u{1f30a}',
        'a/\u{e000}',
        'a0',
        'b',
        '__proto__',
      ];
      await store.commit(keys.map((key) => ({ kind: 'set', key, value: key })));
      const listed = (await store.list('a/')).map(({ key }) => key);
      expect(listed).toEqual(keys.filter((key) => key.startsWith('a/')).sort());
      expect((await store.list('')).map(({ key }) => key)).toEqual(keys.toSorted());
      expect((await store.get('__proto__'))?.value).toBe('__proto__');
    });

    test('text that no medium keeps is refused as a defect of the caller', async () => {
      await using store = await open();
      await expect(store.get('a\0b')).rejects.toThrow(TypeError);
      await expect(store.commit([{ kind: 'set', key: 'a', value: '\ud800' }])).rejects.toThrow(TypeError);
      expect(await store.list('')).toEqual([]);
    });

    test('closing twice is fine, and what comes after is STORE_FAILED', async () => {
      const store = await open();
      const last = store.commit([{ kind: 'set', key: 'a', value: '1' }]);
      await Promise.all([store[Symbol.asyncDispose](), store[Symbol.asyncDispose]()]);
      expect(await last).toEqual(COMMITTED);
      await expect(store.get('a')).rejects.toMatchObject({ code: 'STORE_FAILED' });
      await expect(store.commit([])).rejects.toMatchObject({ code: 'STORE_FAILED' });
    });

    test('behaves as the memory driver for any sequence of concurrent operations', async () => {
      await using store = await open();
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(operation, { minLength: 1, maxLength: 8 }), { maxLength: 8 }),
          async (rounds) => {
            await using oracle = createMemoryKeyValue();
            await store.commit((await store.list('')).map(({ key }) => ({ kind: 'delete', key })));
            for (const round of rounds) {
              const expected = await Promise.all(round.map((one) => one(oracle)));
              expect(await Promise.all(round.map((one) => one(store)))).toEqual(expected);
            }
            expect(await store.list('')).toEqual(await oracle.list(''));
          },
        ),
        { numRuns: 60 },
      );
    });
  });
}

const key = fc.constantFrom('a', 'a/1', 'a/2', 'b', 'é', '\u{1f30a}', '\u{ff5e}');
const ifVersion = fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined });
const write: fc.Arbitrary<Write> = fc
  .oneof(
    fc.record({
      kind: fc.constant('set' as const),
      key,
      value: fc.string({ unit: 'grapheme', maxLength: 5 }),
      ifVersion,
    }),
    fc.record({ kind: fc.constant('delete' as const), key, ifVersion }),
  )
  .map((one) => (one.kind === 'set' ? { ...one, value: one.value.replaceAll('\0', ' ').toWellFormed() } : one));

const operation: fc.Arbitrary<(store: KeyValue) => Promise<unknown>> = fc.oneof(
  key.map((one) => (store: KeyValue) => store.get(one)),
  fc.constantFrom('', 'a', 'a/', 'b').map((prefix) => (store: KeyValue) => store.list(prefix)),
  fc.array(write, { maxLength: 4 }).map((writes) => (store: KeyValue) => store.commit(writes)),
);

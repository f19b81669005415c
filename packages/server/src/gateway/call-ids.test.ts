import { expect, test } from 'vitest';
import { CallIds } from './call-ids.ts';

test('ids are random UUIDs, and no two are the same', () => {
  const ids = new CallIds();
  const all = Array.from({ length: 1_000 }, () => ids.next());
  for (const id of all) expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  expect(new Set(all).size).toBe(1_000);
  // Every free bit is used: each digit that is not fixed takes every value.
  const digits = Array.from({ length: 36 }, (_, i) => new Set(all.map((id) => id[i])).size);
  expect(digits).toEqual(
    [...'00000000-0000-1000-4000-000000000000'].map((mark) => ({ '-': 1, '1': 1, '4': 4 })[mark] ?? 16),
  );
});

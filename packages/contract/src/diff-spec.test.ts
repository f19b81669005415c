import fc from 'fast-check';
import { expect, test } from 'vitest';
import { diffSpecs } from './diff-spec.ts';
import { type FunctionSpecInput, functionSpecSchema } from './function-spec.ts';

const spec = (input: FunctionSpecInput) => functionSpecSchema.parse({ runtime: 'node', ...input });

test('a difference names the path of the field, and what it was and is', () => {
  const before = spec({ memory: '256Mi', env: { A: '1', B: '2' }, secrets: ['x'], scale: { max: 3 } });
  const after = spec({ memory: '512Mi', env: { B: '3', C: '4' }, secrets: ['x', 'y'], scale: { max: 5 } });
  expect(diffSpecs(before, after)).toEqual([
    { field: 'env.A', before: '1' },
    { field: 'env.B', before: '2', after: '3' },
    { field: 'env.C', after: '4' },
    { field: 'memory', before: '256Mi', after: '512Mi' },
    { field: 'scale.max', before: 3, after: 5 },
    { field: 'secrets', before: ['x'], after: ['x', 'y'] },
  ]);
});

test('equal specs do not differ, and what differs one way does so the other way round', () => {
  const names = fc.dictionary(fc.stringMatching(/^[A-Z]{1,2}$/), fc.constantFrom('1', '2'));
  fc.assert(
    fc.property(names, names, fc.boolean(), (left, right, isReversed) => {
      const [before, after] = [spec({ env: left }), spec({ env: right })];
      const turned = Object.fromEntries(isReversed ? Object.entries(left).toReversed() : Object.entries(left));
      expect(diffSpecs(before, spec({ env: turned }))).toEqual([]);
      const back = diffSpecs(after, before).map(({ field, before: was, after: is }) => [field, is, was]);
      expect(diffSpecs(before, after).map(({ field, before: was, after: is }) => [field, was, is])).toEqual(back);
    }),
  );
});

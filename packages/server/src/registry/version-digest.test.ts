import { functionSpecSchema } from '@ebb/contract';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, versionDigest } from './version-digest.ts';

test('equal values give equal text, whatever the order of their fields', () => {
  const entries = fc.uniqueArray(fc.tuple(fc.string(), fc.jsonValue()), { selector: ([key]) => key });
  fc.assert(
    fc.property(entries, (pairs) => {
      const forwards = Object.fromEntries(pairs);
      const backwards = Object.fromEntries(pairs.toReversed());
      expect(canonicalJson(forwards)).toBe(canonicalJson(backwards));
      expect(JSON.parse(canonicalJson(forwards))).toEqual(JSON.parse(JSON.stringify(forwards)));
    }),
  );
});

test('a digest changes with the spec, the code and the image, and with nothing else', () => {
  const spec = functionSpecSchema.parse({ image: 'app', env: { A: '1' } });
  const digest = versionDigest({ spec, imageDigest: 'sha256:1' });
  expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(versionDigest({ spec: structuredClone(spec), code: undefined, imageDigest: 'sha256:1' })).toBe(digest);
  const others = [
    versionDigest({ spec: { ...spec, pids: 100 }, imageDigest: 'sha256:1' }),
    versionDigest({ spec, imageDigest: 'sha256:2' }),
    versionDigest({ spec, code: 'sha256:1' }),
  ];
  expect(new Set([digest, ...others]).size).toBe(4);
});

import fc from 'fast-check';
import { Histogram, type Metric, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { DurationHistogram } from './duration-histogram.ts';

const NAMED = { name: 'h', help: 'a "help" \\ text', labelNames: ['f', 'code'] } as const;

test('a page shows the same as with prom-client’s own histogram', async () => {
  const observation = fc.tuple(
    fc.constantFrom('a', 'b"\n\\'),
    fc.constantFrom('200', '500'),
    fc.constantFrom(0, 0.001, 0.0011, 1, 7),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(observation, { maxLength: 30 }), async (observations) => {
      const ours = new Registry();
      const theirs = new Registry();
      const own = new DurationHistogram({ ...NAMED, bounds: [0.001, 1, 5] });
      ours.registerMetric(own as unknown as Metric);
      const reference = new Histogram({ ...NAMED, buckets: [0.001, 1, 5], registers: [theirs] });
      for (const [name, code, seconds] of observations) {
        own.labels(name, code).observe(seconds);
        reference.labels(name, code).observe(seconds);
      }
      own.remove('a', '500');
      reference.remove('a', '500');
      expect(await ours.metrics()).toBe(await theirs.metrics());
    }),
    { numRuns: 30 },
  );
});

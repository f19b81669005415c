import { asyncSchema, resolveAsync } from '@ebb/contract';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { resolveRetryAnnotations } from './resolve-retry-annotations.ts';
import { toFunctionSpec } from './to-function-spec.ts';

const of = (values: Readonly<Record<string, string>>) =>
  resolveRetryAnnotations(
    Object.fromEntries(Object.entries(values).map(([name, value]) => [`com.openfaas.retry.${name}`, value])),
  );

test('each annotation becomes what the spec calls it; waits may be seconds', () => {
  expect(of({ attempts: '12', codes: '429, 503', min_wait: '10s', max_wait: '120' })).toEqual({
    attempts: 12,
    statuses: [429, 503],
    minWait: '10000ms',
    maxWait: '120000ms',
  });
});

test('a function that says nothing of retries has no settings of its own', () => {
  expect(resolveRetryAnnotations({})).toBeUndefined();
  expect(resolveRetryAnnotations({ topic: 'a', 'com.openfaas.queue': 'slow' })).toBeUndefined();
});

test('an invalid value is as if it were not there, and the others hold', () => {
  for (const attempts of ['0', '-1', '1001', 'ten', '', '1.5']) expect(of({ attempts })).toBeUndefined();
  for (const codes of ['', '200', '429,', '5xx', '600', '429;503']) expect(of({ codes })).toBeUndefined();
  for (const min_wait of ['', 'soon', '-1s', '25h', '1 s']) expect(of({ min_wait })).toBeUndefined();
  expect(of({ attempts: 'many', codes: '500' })).toEqual({ statuses: [500] });
});

test('waits that contradict each other, or a default, leave the longest at least the shortest', () => {
  expect(of({ min_wait: '30s', max_wait: '10s' })).toEqual({ minWait: '30000ms', maxWait: '30000ms' });
  expect(of({ max_wait: '100ms' })).toEqual({ minWait: '100ms', maxWait: '100ms' });
  expect(of({ min_wait: '1h' })).toEqual({ minWait: '3600000ms', maxWait: '3600000ms' });
});

test('whatever the annotations are, the spec takes what comes of them', () => {
  const value = fc.oneof(
    fc.string(),
    fc.integer({ min: -10, max: 100_000 }).map(String),
    fc.constantFrom('10s', '1h', '25h', '429,503', '200', '1m30s', '0', '0s'),
  );
  const annotations = fc.record(
    { attempts: value, codes: value, min_wait: value, max_wait: value },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(annotations, (given) => {
      const retry = of(given);
      const spec = asyncSchema.parse(retry === undefined ? {} : { retry });
      const { minWaitMs, maxWaitMs } = resolveAsync(spec);
      expect(maxWaitMs).toBeGreaterThanOrEqual(minWaitMs);
    }),
  );
});

test('what a deployment says of retries is the policy of its calls; the annotations stay as they were written', () => {
  const annotations = {
    'com.openfaas.retry.attempts': '2',
    'com.openfaas.retry.codes': 'all',
    'com.openfaas.queue': 'q',
  };
  const { spec } = toFunctionSpec({ service: 'f', image: 'i', annotations }, undefined);
  expect(spec.annotations).toEqual(annotations);
  expect(resolveAsync(spec.async)).toEqual({ ...resolveAsync(), attempts: 2 });
  expect(toFunctionSpec({ service: 'f', image: 'i' }, undefined).spec.async).toBeUndefined();
});

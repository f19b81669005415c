import { functionSpecSchema, resolveLimits } from '@ebb/contract';
import { expect, test } from 'vitest';
import { describeTarget } from './describe-target.ts';

const target = (labels: Record<string, string>, scale = {}) => {
  const spec = functionSpecSchema.parse({ image: 'a/b', cpu: 2, labels, scale });
  return describeTarget({ spec, limits: resolveLimits(spec) });
};

test.each([
  [
    { 'com.openfaas.scale.type': 'cpu', 'com.openfaas.scale.target': '500' },
    { scalingType: 'cpu', load: 500 },
  ],
  [{ 'com.openfaas.scale.target': '5' }, { scalingType: 'rps', load: 5 }],
  [{ 'com.openfaas.scale.type': 'queue' }, { scalingType: 'queue', load: 50 }],
  [
    { 'com.openfaas.scale.type': 'temperature', 'com.openfaas.scale.target': 'warm' },
    { scalingType: 'temperature', load: 50 },
  ],
])('labels %o say what the target is', (labels, expected) => {
  expect(target(labels)).toEqual(expected);
});

test.each([
  [
    { mode: 'concurrency', target: 4 },
    { scalingType: 'capacity', load: 4 },
  ],
  [
    { mode: 'rps', target: 30 },
    { scalingType: 'rps', load: 30 },
  ],
  [
    { mode: 'cpu', target: 50 },
    { scalingType: 'cpu', load: 1000 },
  ],
  [
    { mode: 'queue', target: 7 },
    { scalingType: 'queue', load: 7 },
  ],
])('without labels it is what %o scales by', (scale, expected) => {
  expect(target({}, scale)).toEqual(expected);
});

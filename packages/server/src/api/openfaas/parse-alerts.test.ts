import { expect, test } from 'vitest';
import { alertsSchema, parseAlerts } from './parse-alerts.ts';

const parse = (post: unknown) => parseAlerts(alertsSchema.parse(post));

/** A post as Alertmanager 0.25 sends it, with names of its own. */
const POST = {
  receiver: 'scale-up',
  status: 'firing',
  alerts: [
    {
      status: 'firing',
      labels: { alertname: 'APIHighInvocationRate', function_name: 'echo.team', service: 'gateway', severity: 'major' },
      annotations: { description: 'High invocation total on "echo.team"' },
      startsAt: '2026-11-22T00:49:34.615Z',
      endsAt: '0001-01-01T00:00:00Z',
      generatorURL: 'http://prometheus:9090/graph?g0.expr=up',
      fingerprint: '89de51134ebd9aa6',
    },
  ],
  groupLabels: { alertname: 'APIHighInvocationRate' },
  commonLabels: {},
  commonAnnotations: {},
  externalURL: 'http://alertmanager:9093',
  version: '4',
  groupKey: '{}:{alertname="APIHighInvocationRate"}',
  truncatedAlerts: 0,
};

test('an alert names its function with the namespace, and says whether it fires', () => {
  expect(parse(POST)).toEqual([{ name: 'echo', namespace: 'team', status: 'firing' }]);
});

test('each of several alerts has a status of its own, and one without takes that of the post', () => {
  const of = (name: string, status?: string) => ({ labels: { function_name: name }, status });
  expect(parse({ status: 'resolved', alerts: [of('a', 'firing'), of('b', 'resolved'), of('c')] })).toEqual([
    { name: 'a', namespace: 'openfaas-fn', status: 'firing' },
    { name: 'b', namespace: 'openfaas-fn', status: 'resolved' },
    { name: 'c', namespace: 'openfaas-fn', status: 'resolved' },
  ]);
});

test.each([
  [{}],
  [{ alerts: null }],
  [{ alerts: [{ status: 'firing' }] }],
  [{ alerts: [{ status: 'firing', labels: { function_name: '' } }] }],
  [{ alerts: [{ status: 'silenced', labels: { function_name: 'a' } }] }],
])('%j is about no function', (post) => {
  expect(parse(post)).toEqual([]);
});

test.each([['text'], [[]], [7], [{ alerts: {} }], [{ alerts: [{ labels: { function_name: 7 } }] }]])(
  '%j is no post of Alertmanager',
  (post) => {
    expect(() => parse(post)).toThrow();
  },
);

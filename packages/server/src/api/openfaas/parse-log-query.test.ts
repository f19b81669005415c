import { expect, test } from 'vitest';
import { parseLogQuery } from './parse-log-query.ts';

const NOW = Date.parse('2026-11-22T10:00:00Z');
const ALL = Number.POSITIVE_INFINITY;
const selection = (query: Record<string, string>) => parseLogQuery({ name: 'f', ...query }, NOW).selection;

test('without since and tail it is what instances wrote in the last five minutes', () => {
  expect(parseLogQuery({ name: 'f' }, NOW)).toEqual({
    name: 'f',
    namespace: 'openfaas-fn',
    selection: { follow: false, tail: ALL, since: '2026-11-22T09:55:00.000Z', sources: ['stdout', 'stderr'] },
  });
});

test.each([
  [{ name: 'f', namespace: 'team' }, 'team'],
  [{ name: 'f.team' }, 'team'],
  [{ name: 'f', namespace: '' }, 'openfaas-fn'],
])('%o is a function of namespace %s', (query, namespace) => {
  expect(parseLogQuery(query as Record<string, string>, NOW)).toMatchObject({ name: 'f', namespace });
});

test.each([
  [{ tail: '-1' }, { tail: ALL }],
  [{ tail: '0' }, { tail: ALL }],
  [{ tail: '20' }, { tail: 20 }],
  [{ since: '2026-11-22T08:00:00Z' }, { tail: ALL, since: '2026-11-22T08:00:00.000Z' }],
  [
    { since: '2026-11-22T08:00:00.123456789+02:00', tail: '5' },
    { tail: 5, since: '2026-11-22T06:00:00.123Z' },
  ],
  [
    { tail: '5', instance: 'i-1' },
    { tail: 5, instance: 'i-1' },
  ],
])('%o selects %o', (query, expected) => {
  expect(selection(query as Record<string, string>)).toEqual({
    follow: false,
    sources: ['stdout', 'stderr'],
    ...expected,
  });
});

test.each([
  ['1', true],
  ['t', true],
  ['true', true],
  ['True', true],
  ['0', false],
  ['false', false],
  ['', false],
  ['yes', false],
])('follow=%s is %s', (follow, expected) => {
  expect(selection({ follow }).follow).toBe(expected);
});

test.each([
  [{ tail: 'ten' }, 'query parameter "tail" is "ten" but must be a whole number'],
  [{ tail: '1.5' }, 'query parameter "tail" is "1.5" but must be a whole number'],
  [{ since: 'yesterday' }, 'query parameter "since" is "yesterday" but must be a moment such as'],
  [{ since: '2026-02-30T99:00:00Z' }, 'query parameter "since" is'],
  [{ since: '2026-11-22' }, 'query parameter "since" is'],
  [{ name: '' }, 'query parameter "name" is missing'],
])('%o is refused', (query, message) => {
  expect(() => selection(query as Record<string, string>)).toThrow(message);
});

import { describe, expect, test } from 'vitest';
import { mountOf, splitHost } from './path.ts';

const split = (host: string, target = '/a?b=1') =>
  splitHost(host, target, { domain: 'fn.example.com', isFunction: (segment) => segment === 'two--parts' });

describe('a host below the domain', () => {
  test.each([
    ['hello.fn.example.com', 'hello'],
    ['hello.fn.example.com:8080', 'hello'],
    ['Hello.FN.example.com.', 'hello'],
    ['hello.team.fn.example.com', 'hello.team'],
    ['beta--hello.fn.example.com', 'hello:beta'],
    ['beta--hello.team.fn.example.com', 'hello.team:beta'],
    ['v7--hello.fn.example.com', 'hello@7'],
    ['two--parts.fn.example.com', 'two--parts'],
    ['v7--two--parts.fn.example.com', 'two--parts@7'],
  ])('%s names %s, and the whole path is the function’s', (host, segment) => {
    const path = split(host);
    expect(path).toEqual({ segment, rest: '/a?b=1', byHost: true });
    expect(path && mountOf(path)).toBe('/');
  });

  test.each(['fn.example.com', 'example.com', 'evilfn.example.com', 'hello.example.com', '127.0.0.1:8080', ''])(
    '%j is none, so that everything else is served there as ever',
    (host) => expect(split(host)).toBeUndefined(),
  );

  test.each(['hello@7.fn.example.com', 'a/b.fn.example.com', '.fn.example.com'])('%s names no function', (host) =>
    expect(split(host)?.segment).toBe(''),
  );

  test('a target that is no path cannot leave the function’s', () => {
    expect(split('hello.fn.example.com', '*')?.rest).toBe('/*');
  });
});

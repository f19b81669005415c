import { createServer } from 'node:http';
import { describe, expect, test } from 'vitest';
import type { Signature } from './settings.ts';
import { findShape, parameterNames } from './shape.ts';

type AnyFunction = (...parameters: never[]) => unknown;

const app = Object.assign((_request: unknown, _response: unknown) => {}, { handle: () => {} });
const koa = { use: () => {}, callback: () => {} };
const fastify = { server: createServer(), ready: () => {} };

describe('findShape', () => {
  const signatureOf = (exports: Record<string, unknown>, signature: Signature = 'auto', exportName?: string) =>
    findShape(exports, signature, exportName).signature;

  test.each<[string, Record<string, unknown>, string]>([
    ['a default object with fetch', { default: { fetch: () => {} } }, 'fetch'],
    ['a named fetch', { fetch: () => {} }, 'fetch'],
    ['a CommonJS object with fetch', { default: { fetch: () => {} }, 'module.exports': {} }, 'fetch'],
    ['a named handler', { handler: (_a: unknown, _res: unknown) => {} }, 'event'],
    ['a handler of CommonJS that only its default shows', { default: { handler: () => {} } }, 'event'],
    [
      'a handler beside a default function',
      { handler: () => {}, default: (_q: unknown, res: unknown) => res },
      'event',
    ],
    ['a server', { default: createServer() }, 'node'],
    ['an application of Express', { default: app }, 'node'],
    ['an application of Koa', { default: koa }, 'node'],
    ['an application of Fastify', { default: fastify }, 'node'],
    ['a function of an event', { default: (event: unknown) => event }, 'event'],
    ['a function of nothing', { default: () => {} }, 'event'],
    ['a function of event and context', { default: (event: unknown, context: unknown) => [event, context] }, 'event'],
    ['a function with a response', { default: (request: unknown, res: unknown) => [request, res] }, 'node'],
    ['a function of three', { default: (a: unknown, b: unknown, c: unknown) => [a, b, c] }, 'node'],
    ['a transpiled default of CommonJS', { default: { default: (event: unknown) => event } }, 'event'],
  ])('%s is found', (_what, exports, signature) => expect(signatureOf(exports)).toBe(signature));

  test('the signature of the spec wins over the shape', () => {
    const work = (event: unknown, response: unknown) => [event, response];
    expect(signatureOf({ default: work }, 'event')).toBe('event');
    expect(signatureOf({ default: work }, 'fetch')).toBe('fetch');
    expect(signatureOf({ handler: work }, 'node')).toBe('node');
  });

  test('an export chosen by name is judged by its own shape', () => {
    expect(signatureOf({ run: (a: unknown, reply: unknown) => [a, reply] }, 'auto', 'run')).toBe('node');
    expect(signatureOf({ default: { run: () => {} } }, 'auto', 'run')).toBe('event');
    expect(() => findShape({ run: 5 }, 'auto', 'run')).toThrow('exports no handler');
    expect(() => findShape({}, 'auto', 'run')).toThrow('has no export named "run"');
  });

  test.each<[Record<string, unknown>, Signature]>([
    [{}, 'auto'],
    [{ default: 5 }, 'auto'],
    [{ default: null }, 'auto'],
    [{ default: {} }, 'node'],
    [{ default: app, fetch: 5 }, 'fetch'],
  ])('%j as %s is no handler, or only where it can be called', (exports, signature) => {
    if (exports['default'] === app) expect(signatureOf(exports, signature)).toBe('fetch');
    else expect(() => findShape(exports, signature)).toThrow(/^exports /);
  });
});

describe('parameterNames', () => {
  test.each<[AnyFunction, readonly string[]]>([
    [(a: unknown, b: unknown) => [a, b], ['a', 'b']],
    [async (a: unknown, res = { x: [1, 2] }) => [a, res], ['a', 'res']],
    // oxlint-disable-next-line no-eval
    [(0, eval)('a => a'), ['a']],
    // oxlint-disable-next-line no-eval
    [(0, eval)('(function named(/* first, */ a, { b, c }, // note\n response) {})'), ['a', '{ b, c }', 'response']],
    // oxlint-disable-next-line no-eval
    [(0, eval)('({ async method(a, reply) {} }).method'), ['a', 'reply']],
  ])('%s has %j', (value, names) => expect(parameterNames(value as never)).toEqual(names));
});

import { mkdtempSync, rmSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { newItem } from '../../../../testing/conformance/queue-items.ts';
import { createGatewayHarness } from '../../../../testing/harness/gateway.ts';
import { systemClock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import type { Lease, NewItem } from '../store/queue.ts';
import { createFunctionDeliverer } from './deliver-function.ts';
import { createPayloadFiles, type PayloadFiles, type PayloadWriter } from './payload-files.ts';

const never = new AbortController().signal;

const leaseOf = (more: Partial<NewItem> = {}, attempt = 1): Lease => ({
  record: {
    ...newItem('a', {
      target: { kind: 'function', namespace: DEFAULT_NAMESPACE, name: 'hello', qualifier: '' },
      headers: [],
      ...more,
    }),
    state: 'running',
    seq: 1,
    attempts: [],
    begun: attempt,
    failures: 0,
  },
  attempt,
  receipt: 'r',
});

async function open(serve: RequestListener, options: { maxBytes?: number; writer?: PayloadFiles['writer'] } = {}) {
  const harness = await createGatewayHarness({ serve: () => serve });
  await harness.deploy('hello', { timeout: '5s' });
  const directory = mkdtempSync(join(tmpdir(), 'ebb-deliver-'));
  const files = createPayloadFiles({ directory, maxBytes: options.maxBytes ?? 10_000_000 });
  const deliverer = createFunctionDeliverer({
    invoker: harness.invoker,
    files: options.writer ? { ...files, writer: options.writer } : files,
    clock: systemClock,
  });
  return {
    harness,
    files,
    deliverer,
    [Symbol.asyncDispose]: async () => {
      await harness[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true });
    },
  };
}

describe('delivering to a function', () => {
  test('an answer that what serves the function made says so', async () => {
    await using bench = await open((_request, response) => {
      response.writeHead(504, { 'X-OpenFaaS-Internal': 'of-watchdog' }).end();
    });
    expect(await bench.deliverer.deliver(leaseOf(), never)).toMatchObject({ status: 504, isInternal: true });
  });

  test('a small answer is kept in the record, with the function’s own headers', async () => {
    await using bench = await open((_request, response) => {
      response.writeHead(201, { 'Content-Type': 'text/plain', 'X-Mine': '1' }).end('made');
    });
    const delivered = await bench.deliverer.deliver(leaseOf(), never);
    expect(delivered).toMatchObject({ verdict: 'answered', status: 201, version: 1, message: undefined });
    expect(delivered.result?.body).toEqual({ kind: 'bytes', bytes: Buffer.from('made') });
    const names = delivered.result?.headers.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
    expect(names?.toSorted()).toEqual(['content-type', 'x-mine']);
  });

  test('a large payload comes from its file, and a large answer goes to one', async () => {
    await using bench = await open((request, response) => {
      request.pipe(response);
    });
    const bytes = Buffer.alloc(3_000_000, 'abcdefgh');
    const body = await bench.files.keep(bytes);
    expect(body.kind).toBe('file');
    const delivered = await bench.deliverer.deliver(leaseOf({ body }), never);
    expect(delivered).toMatchObject({ verdict: 'answered', status: 200 });
    // By its content it is the same file.
    expect(delivered.result?.body).toEqual(body);
    if (body.kind === 'file') expect(await text(bench.files.open(body.digest))).toBe(bytes.toString());
  });

  test('a longer answer than may be kept is cut, and that is said', async () => {
    await using bench = await open((_request, response) => void response.end(Buffer.alloc(500_000, 'x')), {
      maxBytes: 200_000,
    });
    const delivered = await bench.deliverer.deliver(leaseOf(), never);
    expect(delivered).toMatchObject({ verdict: 'answered', status: 200, result: { body: { sizeBytes: 200_000 } } });
    expect(delivered.message).toContain('was cut');
  });

  test('an answer that cannot be kept is an answer all the same: the call is not made again for it', async () => {
    const writer = (): PayloadWriter => ({
      sizeBytes: 0,
      write: () => Promise.reject(new EbbError('STORAGE_FULL', 'there is no space left')),
      finish: () => Promise.reject(new EbbError('STORAGE_FULL', 'there is no space left')),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
    await using bench = await open((_request, response) => void response.end('made'), { writer });
    const delivered = await bench.deliverer.deliver(leaseOf(), never);
    expect(delivered).toMatchObject({ verdict: 'answered', status: 200, result: { body: { kind: 'none' } } });
    expect(delivered.message).toContain('no space left');
  });

  test('a function’s Retry-After is passed on', async () => {
    await using bench = await open((_request, response) => {
      response.writeHead(429, { 'Retry-After': '3' }).end();
    });
    expect(await bench.deliverer.deliver(leaseOf(), never)).toMatchObject({
      verdict: 'answered',
      status: 429,
      retryAfterMs: 3_000,
      message: 'it answered 429',
    });
  });

  test('faults are told apart: the function’s, what is gone, what was stopped', async () => {
    await using bench = await open((request, response) => {
      if (request.url === '/cut') response.destroy();
    });
    const of = (more: Partial<NewItem>, signal = never) => bench.deliverer.deliver(leaseOf(more), signal);
    expect(await of({ path: '/cut' })).toMatchObject({ verdict: 'failed', errorCode: 'INSTANCE_CRASHED', status: 502 });
    const gone = { kind: 'function', namespace: DEFAULT_NAMESPACE, name: 'nobody', qualifier: '' } as const;
    expect(await of({ target: gone })).toMatchObject({ verdict: 'gone', errorCode: 'FUNCTION_NOT_FOUND' });
    expect(await of({ path: '/hangs' }, AbortSignal.timeout(50))).toMatchObject({ verdict: 'aborted' });
    const lost = { kind: 'file', digest: `sha256:${'0'.repeat(64)}`, sizeBytes: 10 } as const;
    expect(await of({ body: lost })).toMatchObject({ verdict: 'platform', errorCode: 'STORE_FAILED' });
  });
});

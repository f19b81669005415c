import { Readable } from 'node:stream';
import type { RequestListener } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { createGatewayHarness, eventually, type GatewayHarness } from '../../../../testing/harness/gateway.ts';
import { EbbError } from '../core/errors.ts';
import type { AnswerSink, PlatformCall } from '../core/ports.ts';

const echo: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    response.setHeader('Content-Type', 'application/json');
    response.end(
      JSON.stringify({
        method: request.method,
        url: request.url,
        headers: request.headers,
        sizeBytes: body.length,
        text: body.subarray(0, 100).toString(),
      }),
    );
  });
};

interface Echo {
  method: string;
  url: string;
  headers: Record<string, string>;
  sizeBytes: number;
  text: string;
}

interface Taken extends AnswerSink {
  status: number;
  headers: readonly string[];
  pieces: Buffer[];
  json(): Echo;
}

const take = (onData?: (chunk: Uint8Array) => void | Promise<void>): Taken => ({
  status: 0,
  headers: [],
  pieces: [],
  onHead(status, headers) {
    this.status = status;
    this.headers = headers;
  },
  onData(chunk) {
    this.pieces.push(Buffer.from(chunk));
    return onData?.(chunk);
  },
  json() {
    return JSON.parse(Buffer.concat(this.pieces).toString()) as Echo;
  },
});

const call = (name: string, more: Partial<PlatformCall> = {}): PlatformCall => ({
  callId: '11111111-2222-4333-8444-555555555555',
  attempt: 1,
  namespace: DEFAULT_NAMESPACE,
  name,
  qualifier: '',
  method: 'POST',
  path: '/',
  headers: [],
  body: { kind: 'none' },
  ...more,
});

const withFunction = async (serve: RequestListener, spec = {}): Promise<GatewayHarness> => {
  const harness = await createGatewayHarness({ serve: () => serve });
  await harness.deploy('hello', spec);
  return harness;
};

describe('what the function sees', () => {
  test('A3: the id and the number of the attempt, whatever the headers of the call say (G5)', async () => {
    await using harness = await withFunction(echo);
    const sink = take();
    const headers = ['X-Call-Id', 'forged', 'X-Ebb-Attempt', '99', 'X-Mine', 'kept', 'Transfer-Encoding', 'chunked'];
    const outcome = await harness.invoker.invoke(
      call('hello', { attempt: 3, path: '/a?b=1', headers, body: { kind: 'bytes', bytes: Buffer.from('Grüße') } }),
      sink,
    );
    expect(outcome).toMatchObject({ kind: 'answered', status: 200, version: 1 });
    expect(outcome.instance).toBeTypeOf('string');
    const seen = sink.json();
    expect(seen).toMatchObject({ method: 'POST', url: '/a?b=1', text: 'Grüße' });
    expect(seen.headers).toMatchObject({
      'x-call-id': '11111111-2222-4333-8444-555555555555',
      'x-ebb-attempt': '3',
      'x-mine': 'kept',
      'content-length': '7',
    });
    expect(harness.events.at(-1)).toMatchObject({ callId: call('hello').callId, attempt: 3, status: 200 });
  });

  test('G5: a caller from outside cannot say that it is an attempt', async () => {
    await using harness = await withFunction(echo);
    const answer = await fetch(`${harness.url}/function/hello`, { headers: { 'X-Ebb-Attempt': '7' } });
    expect(((await answer.json()) as Echo).headers).not.toHaveProperty('x-ebb-attempt');
  });

  test('a large body is streamed, opened once for each attempt', async () => {
    await using harness = await withFunction(echo);
    const piece = Buffer.alloc(100_000, 'x');
    let opened = 0;
    const open = () => {
      opened += 1;
      return Readable.from(
        (function* pieces() {
          for (let i = 0; i < 50; i += 1) yield Buffer.from(piece);
        })(),
      );
    };
    for (const attempt of [1, 2]) {
      const sink = take();
      const body = { kind: 'stream', sizeBytes: 5_000_000, open } as const;
      expect(await harness.invoker.invoke(call('hello', { attempt, body }), sink)).toMatchObject({ status: 200 });
      expect(sink.json().sizeBytes).toBe(5_000_000);
      expect(opened).toBe(attempt);
    }
  });
});

describe('the answer', () => {
  test('comes no faster than the sink takes it, and whole', async () => {
    const total = 3_000_000;
    await using harness = await withFunction((_request, response) => {
      response.writeHead(207, { 'X-Made': 'here' });
      for (let i = 0; i < 30; i += 1) response.write(Buffer.alloc(total / 30, i));
      response.end();
    });
    let isBusy = false;
    let overlaps = 0;
    const sink = take(async () => {
      if (isBusy) overlaps += 1;
      isBusy = true;
      await sleep(1);
      isBusy = false;
    });
    const outcome = await harness.invoker.invoke(call('hello'), sink);
    expect(outcome).toMatchObject({ kind: 'answered', status: 207 });
    expect(overlaps).toBe(0);
    expect(Buffer.concat(sink.pieces).length).toBe(total);
    expect(sink.headers.join(',')).toContain('X-Made,here');
  });

  test('a sink that cannot take it ends the call with its error, and the function is told', async () => {
    let closed = 0;
    await using harness = await withFunction((_request, response) => {
      response.once('close', () => (closed += 1));
      response.write('one');
    });
    const sink = take(() => Promise.reject(new EbbError('STORAGE_FULL', 'no space')));
    const outcome = await harness.invoker.invoke(call('hello'), sink);
    expect(outcome).toMatchObject({ kind: 'failed', error: { code: 'STORAGE_FULL' } });
    await eventually(() => closed === 1 && harness.gateway.running === 0);
  });

  test('a function’s own error is an answer, with its Retry-After', async () => {
    await using harness = await withFunction((_request, response) => {
      response.writeHead(503, { 'Retry-After': '7' }).end('later');
    });
    const sink = take();
    expect(await harness.invoker.invoke(call('hello'), sink)).toMatchObject({ kind: 'answered', status: 503 });
    expect(sink.headers.join(',')).toContain('Retry-After,7');
  });
});

describe('what fails', () => {
  test('what does not exist is said by its code, and no event is made', async () => {
    await using harness = await withFunction(echo);
    const codeOf = async (one: PlatformCall) => {
      const outcome = await harness.invoker.invoke(one, take());
      return outcome.kind === 'failed' ? outcome.error.code : outcome.kind;
    };
    expect(await codeOf(call('nobody'))).toBe('FUNCTION_NOT_FOUND');
    expect(await codeOf(call('hello', { qualifier: ':beta' }))).toBe('ALIAS_NOT_FOUND');
    expect(await codeOf(call('hello', { qualifier: '@9' }))).toBe('VERSION_NOT_FOUND');
    expect(await codeOf(call('hello', { namespace: 'other' }))).toBe('FUNCTION_NOT_FOUND');
    expect(await codeOf(call('hello', { headers: ['X-A', 'a\r\nX-B: b'] }))).toBe('BAD_REQUEST');
    expect(await codeOf(call('hello', { headers: ['X-A', 'aĊb'] }))).toBe('BAD_REQUEST');
    expect(await codeOf(call('hello', { method: 'GET /' }))).toBe('BAD_REQUEST');
    expect(await codeOf(call('hello', { path: '/ HTTP/1.1' }))).toBe('BAD_REQUEST');
    expect(harness.gateway.running).toBe(0);
  });

  test('a full line is QUEUE_FULL with when to come again', async () => {
    const held: (() => void)[] = [];
    await using harness = await withFunction(
      (_request, response) => {
        held.push(() => response.end());
      },
      { concurrency: 1, scale: { max: 1 }, queue: { length: 1 } },
    );
    const running = harness.invoker.invoke(call('hello'), take());
    await eventually(() => held.length === 1);
    const waiting = harness.invoker.invoke(call('hello'), take());
    expect(await harness.invoker.invoke(call('hello'), take())).toMatchObject({
      kind: 'failed',
      error: { code: 'QUEUE_FULL' },
      retryAfterMs: 1_000,
    });
    held[0]?.();
    expect(await running).toMatchObject({ kind: 'answered' });
    await eventually(() => held.length === 2);
    held[1]?.();
    expect(await waiting).toMatchObject({ kind: 'answered' });
  });

  test('an instance that cuts the connection in mid-answer fails the call', async () => {
    await using harness = await withFunction((_request, response) => {
      response.write('half');
      setTimeout(() => response.destroy(), 5);
    });
    expect(await harness.invoker.invoke(call('hello'), take())).toMatchObject({
      kind: 'failed',
      error: { code: 'INSTANCE_CRASHED' },
      version: 1,
    });
  });

  test('G4: a function that does not answer ends with its timeout', async () => {
    await using harness = await withFunction(() => {}, { timeout: '50ms' });
    expect(await harness.invoker.invoke(call('hello'), take())).toMatchObject({
      kind: 'failed',
      error: { code: 'FUNCTION_TIMEOUT' },
    });
  });

  test('a body that cannot be read is the platform’s fault', async () => {
    await using harness = await withFunction(echo);
    const broken = () =>
      new Readable({
        read() {
          this.destroy(new Error('gone'));
        },
      });
    const outcome = await harness.invoker.invoke(
      call('hello', { body: { kind: 'stream', sizeBytes: 10, open: broken } }),
      take(),
    );
    expect(outcome).toMatchObject({ kind: 'failed', error: { code: 'STORE_FAILED' } });
    await eventually(() => harness.gateway.running === 0);
  });

  test('no call begins while the server drains', async () => {
    await using harness = await withFunction(echo);
    await harness.gateway.drain(0);
    expect(await harness.invoker.invoke(call('hello'), take())).toMatchObject({
      kind: 'failed',
      error: { code: 'DRAINING' },
    });
  });
});

test('aborting takes the request from the instance, which is told, and gives the slot back', async () => {
  let begun = 0;
  let closed = 0;
  await using harness = await withFunction((_request, response) => {
    begun += 1;
    response.once('close', () => (closed += 1));
  });
  const aborting = new AbortController();
  const outcome = harness.invoker.invoke(call('hello'), take(), aborting.signal);
  await eventually(() => begun === 1);
  aborting.abort();
  expect(await outcome).toMatchObject({ kind: 'aborted' });
  await eventually(() => closed === 1 && harness.gateway.running === 0);
  expect(await harness.invoker.invoke(call('hello'), take(), aborting.signal)).toMatchObject({ kind: 'aborted' });
});

test('calls from outside are served before those of the platform that came first', async () => {
  const order: string[] = [];
  const held: (() => void)[] = [];
  await using harness = await withFunction(
    (request, response) => {
      order.push(request.url ?? '');
      held.push(() => response.end());
    },
    { concurrency: 1, scale: { max: 1 } },
  );
  const first = harness.invoker.invoke(call('hello', { path: '/first' }), take());
  await eventually(() => held.length === 1);
  const later = harness.invoker.invoke(call('hello', { path: '/later' }), take());
  const outside = fetch(`${harness.url}/function/hello/outside`);
  await eventually(() => harness.gateway.running === 3);
  held[0]?.();
  await first;
  await eventually(() => held.length === 2);
  held[1]?.();
  await outside;
  await eventually(() => held.length === 3);
  held[2]?.();
  await later;
  expect(order).toEqual(['/first', '/outside', '/later']);
});

test('a server that stops lets go of calls that wait for an instance, and of no other', async () => {
  const held: (() => void)[] = [];
  await using harness = await withFunction(
    (_request, response) => {
      held.push(() => response.end());
    },
    { concurrency: 1, scale: { max: 1 } },
  );
  const running = harness.invoker.invoke(call('hello'), take());
  await eventually(() => held.length === 1);
  const waiting = harness.invoker.invoke(call('hello'), take());
  await eventually(() => harness.gateway.running === 2);
  harness.invoker.letGo();
  expect(await waiting).toMatchObject({ kind: 'failed', error: { code: 'DRAINING' }, retryAfterMs: 1_000 });
  held[0]?.();
  expect(await running).toMatchObject({ kind: 'answered' });
});

import type { LogLine } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { createLogger } from '../core/logger.ts';
import { createCallTally } from './call-tally.ts';
import { describeInvocation } from './describe-invocation.ts';
import type { InvocationEvent, ShadowOutcome } from './invocation-event.ts';
import type { FunctionGauges } from './function-metrics.ts';
import { createMetrics } from './metrics.ts';
import { createMetricsServer } from './metrics-server.ts';
import { createTelemetry } from './telemetry.ts';

const event = (more: Partial<InvocationEvent> = {}): InvocationEvent => ({
  callId: 'call-1',
  namespace: 'openfaas-fn',
  name: 'hello',
  label: 'hello.openfaas-fn',
  version: 3,
  instance: 'i1',
  method: 'GET',
  status: 200,
  startedAt: Date.parse('2026-11-21T10:00:00Z'),
  durationMs: 12.34,
  cold: false,
  phases: { queueMs: 0.2, firstByteMs: 11 },
  ...more,
});

const standing = (more: Partial<FunctionGauges> = {}): FunctionGauges => ({
  namespace: 'openfaas-fn',
  name: 'hello',
  replicas: 3,
  ready: 2,
  frozen: 1,
  waiting: 5,
  running: 0,
  min: 1,
  target: { scalingType: 'capacity', load: 10 },
  queue: 'faas-request',
  ...more,
});

/** The value of one series on a metrics page. */
const valueOf = (page: string, series: string): number | undefined => {
  const line = page.split('\n').find((text) => text.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
};

describe('telemetry', () => {
  test('turns one event into metrics and one platform line in the function’s log', async () => {
    const lines: LogLine[] = [];
    const metrics = createMetrics();
    const telemetry = createTelemetry({
      metrics,
      logs: { append: (line) => lines.push(line) },
      logger: createLogger('silent'),
    });
    telemetry.record(event());
    telemetry.record(
      event({
        callId: 'call-2',
        status: 503,
        errorCode: 'START_FAILED',
        cold: true,
        durationMs: 250,
        wait: { cause: 'scale-from-zero' },
        phases: { queueMs: 240 },
      }),
    );
    expect(lines).toEqual([]);
    telemetry.flush();
    expect(lines).toEqual([
      {
        at: '2026-11-21T10:00:00.012Z',
        namespace: 'openfaas-fn',
        function: 'hello',
        version: 3,
        instance: 'i1',
        source: 'platform',
        callId: 'call-1',
        text: 'GET 200 in 12 ms',
      },
      expect.objectContaining({
        callId: 'call-2',
        text: 'GET 503 in 250 ms, START_FAILED, waited 240 ms, cold start (scale-from-zero)',
      }),
    ]);
    const { text } = await metrics.expose();
    const name = 'function_name="hello.openfaas-fn"';
    expect(valueOf(text, `gateway_function_invocation_total{${name},code="200"}`)).toBe(1);
    expect(valueOf(text, `gateway_function_invocation_total{${name},code="503"}`)).toBe(1);
    expect(valueOf(text, `gateway_function_invocation_started{${name}}`)).toBe(2);
    expect(valueOf(text, `gateway_functions_seconds_count{${name},code="200"}`)).toBe(1);
    expect(valueOf(text, `gateway_functions_seconds_sum{${name},code="503"}`)).toBeCloseTo(0.25);
    expect(valueOf(text, `ebb_cold_starts_total{${name}}`)).toBe(1);
    await telemetry[Symbol.asyncDispose]();
  });

  test.each([
    [{ cause: 'busy' } as const, 'busy'],
    [{ cause: 'thaw', thawMs: 0.25 } as const, 'thaw 0.3 ms'],
    [
      {
        cause: 'pool-empty',
        start: { cause: 'burst', spare: 'empty', admitMs: 0.1, codeMs: 0.4, createMs: 180.2, initMs: 60 },
      } as const,
      'cold start (pool-empty): admit 0.1 ms, code 0.4 ms, create 180 ms, init 60 ms',
    ],
  ])('a call that waited says in its line what for: %o', (wait, said) => {
    const waited = event({ wait, cold: wait.cause === 'pool-empty', durationMs: 260, phases: { queueMs: 250 } });
    expect(describeInvocation(waited).text).toBe(`GET 200 in 260 ms, waited 250 ms, ${said}`);
  });

  test('tells of a copy whose answer was another one once a second, with both ids, and of others not', () => {
    const lines: LogLine[] = [];
    const telemetry = createTelemetry({
      metrics: createMetrics(),
      logs: { append: (line) => lines.push(line) },
      logger: createLogger('silent'),
    });
    const report = { of: 'call-0', primaryStatus: 200, primaryMs: 250 };
    for (const outcome of ['same', 'dropped', 'uncompared', 'status-differs', 'body-differs', 'failed'] as const) {
      telemetry.record(event({ status: 500, shadow: { ...report, outcome } }));
    }
    telemetry.flush();
    expect(lines).toMatchObject([
      { callId: 'call-1', text: 'GET 500 in 12 ms, copy of call-0: status-differs from 200' },
    ]);
  });

  test('works events off by itself, and what is left when it is disposed of', async () => {
    const seen: string[] = [];
    const telemetry = createTelemetry({
      metrics: { record: (one) => seen.push(one.callId) },
      logs: { append: () => {} },
      logger: createLogger('silent'),
      flushMs: 5,
    });
    telemetry.record(event({ callId: 'a' }));
    await expect.poll(() => seen).toEqual(['a']);
    telemetry.record(event({ callId: 'b' }));
    await telemetry[Symbol.asyncDispose]();
    expect(seen).toEqual(['a', 'b']);
  });

  test('an event that cannot be worked off does not take the others with it', () => {
    const seen: string[] = [];
    const telemetry = createTelemetry({
      metrics: {
        record: (one) => {
          if (one.callId === 'bad') throw new Error('no');
          seen.push(one.callId);
        },
      },
      logs: { append: () => {} },
      logger: createLogger('silent'),
    });
    for (const callId of ['bad', 'good']) telemetry.record(event({ callId }));
    telemetry.flush();
    expect(seen).toEqual(['good']);
  });
});

describe('metrics', () => {
  test('calls of names that mean no function share one series, whatever the names', async () => {
    const metrics = createMetrics();
    for (let index = 0; index < 50; index += 1) {
      metrics.record(event({ name: `guess-${index}`, version: 0, status: 404 }));
    }
    const { text } = await metrics.expose();
    expect(text).not.toContain('guess-');
    expect(valueOf(text, 'gateway_function_invocation_total{function_name="unknown",code="404"}')).toBe(50);
  });

  test('gauges are read at each scrape, and removed functions leave nothing behind', async () => {
    let functions = [standing()];
    const metrics = createMetrics({ functions: () => functions, spares: () => 3 });
    metrics.record(event());
    const first = (await metrics.expose()).text;
    expect(valueOf(first, 'gateway_service_count{function_name="hello.openfaas-fn"}')).toBe(3);
    expect(valueOf(first, 'gateway_service_ready_count{function_name="hello.openfaas-fn"}')).toBe(2);
    expect(valueOf(first, 'gateway_service_min{function_name="hello.openfaas-fn"}')).toBe(1);
    const load = 'gateway_service_target_load{function_name="hello.openfaas-fn",scaling_type="capacity"}';
    expect(valueOf(first, load)).toBe(10);
    expect(valueOf(first, 'ebb_queue_waiting{function_name="hello.openfaas-fn"}')).toBe(5);
    expect(valueOf(first, 'ebb_instances_frozen{function_name="hello.openfaas-fn"}')).toBe(1);
    expect(valueOf(first, 'ebb_spares_ready')).toBe(3);
    expect(first).toContain('process_resident_memory_bytes');
    functions = [];
    metrics.forget('openfaas-fn', 'hello');
    expect((await metrics.expose()).text).not.toContain('hello.openfaas-fn');
    // A call that was under way when its function was removed.
    metrics.record(event());
    expect((await metrics.expose()).text).not.toContain('hello.openfaas-fn');
    functions = [standing()];
    expect((await metrics.expose()).text).toContain('hello.openfaas-fn');
  });

  test('a function has its counters from the first scrape after its deploy on, at zero', async () => {
    const metrics = createMetrics({ functions: () => [standing()] });
    const { text } = await metrics.expose();
    expect(valueOf(text, 'gateway_function_invocation_total{function_name="hello.openfaas-fn",code="200"}')).toBe(0);
    expect(valueOf(text, 'gateway_function_invocation_started{function_name="hello.openfaas-fn"}')).toBe(0);
    expect(valueOf(text, 'gateway_function_invocation_inflight{function_name="hello.openfaas-fn"}')).toBe(0);
  });

  test('a call counts as started while it runs, once, and the count never goes back', async () => {
    let running = 0;
    const metrics = createMetrics({ functions: () => [standing({ running })] });
    const started = async () =>
      valueOf((await metrics.expose()).text, 'gateway_function_invocation_started{function_name="hello.openfaas-fn"}');
    metrics.record(event());
    expect(await started()).toBe(1);
    running = 2;
    expect(await started()).toBe(3);
    // It has given its slot back, and its event is not worked off yet.
    running = 1;
    expect(await started()).toBe(3);
    metrics.record(event());
    expect(await started()).toBe(3);
    running = 0;
    metrics.record(event({ status: 500 }));
    metrics.record(event({ status: 500 }));
    expect(await started()).toBe(4);
  });

  test('starts are counted by cause and spare, and their phases where calls waited', async () => {
    const metrics = createMetrics();
    const start = { cause: 'burst', spare: 'used', admitMs: 1, codeMs: 2, specialiseMs: 9, initMs: 30 } as const;
    metrics.started(start, 3);
    metrics.started(start, 0);
    metrics.started({ ...start, spare: 'empty', specialiseMs: undefined, createMs: 200 }, 1);
    const { text } = await metrics.expose();
    expect(valueOf(text, 'ebb_instance_starts_total{cause="burst",spare="used"}')).toBe(2);
    expect(valueOf(text, 'ebb_instance_starts_total{cause="burst",spare="empty"}')).toBe(1);
    expect(valueOf(text, 'ebb_cold_start_phase_seconds_count{phase="specialise"}')).toBe(1);
    expect(valueOf(text, 'ebb_cold_start_phase_seconds_count{phase="init"}')).toBe(2);
    expect(valueOf(text, 'ebb_cold_start_phase_seconds_sum{phase="create"}')).toBeCloseTo(0.2);
  });

  test('calls that waited are counted by what for, here or by another process', async () => {
    const metrics = createMetrics();
    const tally = createCallTally();
    const thawed = event({ wait: { cause: 'thaw', thawMs: 1 } });
    const cold = event({ cold: true, wait: { cause: 'pool-empty' } });
    for (const one of [event(), thawed, cold]) {
      metrics.record(one);
      tally.record(one);
    }
    for (const counted of tally.take().calls) metrics.merge(counted);
    const { text } = await metrics.expose();
    expect(valueOf(text, 'ebb_calls_waited_total{cause="thaw"}')).toBe(2);
    expect(valueOf(text, 'ebb_calls_waited_total{cause="pool-empty"}')).toBe(2);
    expect(valueOf(text, 'ebb_cold_starts_total{function_name="hello.openfaas-fn"}')).toBe(2);
    expect(valueOf(text, 'gateway_function_invocation_total{function_name="hello.openfaas-fn",code="200"}')).toBe(6);
  });

  test('copies for a shadow version are no calls, and are counted by what came of them, here or by another process', async () => {
    const metrics = createMetrics();
    const tally = createCallTally();
    const copy = (outcome: ShadowOutcome) =>
      event({ durationMs: 500, shadow: { of: 'call-0', outcome, primaryStatus: 200, primaryMs: 250 } });
    for (const one of [copy('same'), copy('status-differs'), copy('dropped')]) {
      metrics.record(one);
      tally.record(one);
    }
    const counted = tally.take();
    expect(counted.calls).toEqual([]);
    metrics.mergeCopies(counted.copies);
    const { text } = await metrics.expose();
    const series = (outcome: string) =>
      `ebb_shadow_calls_total{function_name="hello.openfaas-fn",outcome="${outcome}"}`;
    expect(['same', 'status-differs', 'dropped'].map((one) => valueOf(text, series(one)))).toEqual([2, 2, 2]);
    const seconds = 'ebb_shadow_seconds_total{function_name="hello.openfaas-fn",side=';
    expect(valueOf(text, `${seconds}"primary"}`)).toBe(1);
    expect(valueOf(text, `${seconds}"shadow"}`)).toBe(2);
    expect(text).not.toContain('gateway_function_invocation_total{function_name="hello');
    metrics.forget('openfaas-fn', 'hello');
    expect((await metrics.expose()).text).not.toContain('hello.openfaas-fn');
  });

  test('two of them in one process do not share series', async () => {
    const [one, other] = [createMetrics(), createMetrics()];
    one.record(event());
    expect((await other.expose()).text).not.toContain('hello');
  });
});

describe('the metrics port', () => {
  test('serves /metrics and /healthz and nothing else, and closes as often as asked', async () => {
    const metrics = createMetrics();
    metrics.record(event());
    let status: 'ok' | 'draining' = 'ok';
    const server = await createMetricsServer({
      listen: { host: '127.0.0.1', port: 0 },
      metrics,
      health: () => ({ status, engine: { name: 'memory', ok: true } }),
    });
    const page = await fetch(`${server.url}/metrics`);
    expect(page.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    expect(await page.text()).toContain('gateway_function_invocation_total');
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    status = 'draining';
    expect((await fetch(`${server.url}/healthz`)).status).toBe(503);
    expect(await (await fetch(`${server.url}/v1/functions`)).json()).toMatchObject({ code: 'NOT_FOUND' });
    const wrong = await fetch(`${server.url}/metrics`, { method: 'POST' });
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'GET, HEAD']);

    const second = createMetricsServer({
      listen: { host: '127.0.0.1', port: server.port },
      metrics,
      health: () => ({ status, engine: { name: 'memory', ok: true } }),
    });
    await expect(second).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: `the metrics cannot be served at 127.0.0.1:${server.port}: another program listens there; set --metrics-listen`,
    });
    await server[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await expect(fetch(`${server.url}/metrics`)).rejects.toThrow();
  });
});

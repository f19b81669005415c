import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { ErrorBody } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { createGatewayHarness, eventually } from '../../../../testing/harness/gateway.ts';
import type { MemoryInstanceControls } from '../engines/memory/memory-instance.ts';

const ok: RequestListener = (_request, response) => response.end('ok');
const bodyOf = async (response: Response) => ({ status: response.status, ...((await response.json()) as ErrorBody) });
const callIdOf = (request: IncomingMessage) => String(request.headers['x-call-id']);

describe('an instance that ends in a call', () => {
  const serve = (_spec: unknown, controls: MemoryInstanceControls): RequestListener => {
    return (request, response) => {
      controls.log(`called ${request.url}`, 'stdout', callIdOf(request));
      if (request.url === '/quiet') return;
      if (request.url === '/memory') controls.exit({ outOfMemory: true, signal: 'SIGKILL' });
      else if (request.url === '/exit') controls.exit({ code: 7 });
      else if (request.url === '/abort') {
        controls.log('FATAL ERROR: JavaScript heap out of memory', 'stderr');
        controls.exit({ signal: 'SIGABRT' });
      } else response.end('ok');
    };
  };

  test.each([
    ['/memory', 'OUT_OF_MEMORY', 'the instance of frail ran out of memory during the call'],
    ['/abort', 'OUT_OF_MEMORY', 'the instance of frail ran out of memory during the call'],
    ['/exit', 'INSTANCE_CRASHED', 'the instance of frail ended with code 7 during the call'],
  ])('by %s is told as %s, with the lines of that call alone', async (path, code, message) => {
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('frail');
    const other = fetch(`${harness.url}/function/frail/quiet`);
    await eventually(() => harness.lines.some(({ text }) => text === 'called /quiet'));
    const answer = await bodyOf(await fetch(`${harness.url}/function/frail${path}`));
    expect(answer).toMatchObject({ status: 502, code, message, logs: [`called ${path}`] });
    expect(await bodyOf(await other)).toMatchObject({ code, logs: ['called /quiet'] });
  });

  test.each(['/memory', '/abort'])(
    'by %s soon after its start, again and again, holds further starts back, and the function says why',
    async (path) => {
      await using harness = await createGatewayHarness({ serve });
      await harness.deploy('frail', { concurrency: 1, scale: { max: 4 } });
      const hoard = () => fetch(`${harness.url}/function/frail${path}`);
      const answers = await Promise.all(Array.from({ length: 20 }, async () => bodyOf(await hoard())));
      expect(new Set(answers.map(({ code }) => code))).toEqual(new Set(['OUT_OF_MEMORY']));
      expect(harness.engine.createCount()).toBeLessThan(20);
      const [version] = [...harness.pools.all()].map((pool) => pool.version);
      if (!version) throw new Error('no pool');
      await eventually(async () => {
        await hoard();
        return harness.pools.functionState(version).startsHeld !== undefined;
      });
      const made = harness.engine.createCount();
      const refused = await hoard();
      expect(refused.headers.get('retry-after')).not.toBeNull();
      expect(await bodyOf(refused)).toMatchObject({ code: 'OUT_OF_MEMORY' });
      expect(harness.engine.createCount()).toBe(made);
      expect(harness.pools.functionState(version).startsHeld?.reason).toContain('ran out of memory');
      await eventually(async () => (await fetch(`${harness.url}/function/frail/fine`)).status === 200, 10_000);
    },
  );
});

test('an instance that answers nothing is told apart from a slow call, gets no other, and is replaced', async () => {
  const stuck = new Set<object>();
  await using harness = await createGatewayHarness({
    serve: (_spec, controls) => (request: IncomingMessage, response: ServerResponse) => {
      if (request.url === '/block') stuck.add(controls);
      if (!stuck.has(controls) && request.url !== '/slow') response.end('ok');
    },
  });
  await harness.deploy('web', { image: 'web', healthPath: '/up', timeout: '400ms' });
  expect(await bodyOf(await fetch(`${harness.url}/function/web/slow`))).toMatchObject({ code: 'FUNCTION_TIMEOUT' });
  const blocked = await bodyOf(await fetch(`${harness.url}/function/web/block`));
  expect(blocked).toMatchObject({ status: 504, code: 'INSTANCE_BLOCKED' });
  expect((await fetch(`${harness.url}/function/web`)).status).toBe(200);
  expect(harness.lines.some(({ text }) => text.includes('does not answer any more and is replaced'))).toBe(true);
  expect(harness.engine.createCount()).toBe(2);
});

test('after a failed start the next one goes alone: one version does not fill the host with starts in vain', async () => {
  await using harness = await createGatewayHarness({
    serve: (_spec, controls) => {
      setTimeout(() => controls.exit(), 60);
      return ok;
    },
    faults: { readyDelayMs: 10_000 },
    maxConcurrentStarts: 2,
  });
  await harness.deploy('broken', { concurrency: 1 });
  await Promise.all(Array.from({ length: 20 }, () => fetch(`${harness.url}/function/broken`)));
  expect(harness.engine.createCount()).toBeLessThanOrEqual(3);
});

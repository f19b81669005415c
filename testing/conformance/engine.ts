import { Agent, request as httpRequest } from 'node:http';
import { text as readText } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { READY_PATH } from '@ebb/contract';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { awaitReady } from '../../packages/server/src/engines/await-ready.ts';
import type {
  Engine,
  EngineEvent,
  EngineLogLine,
  Instance,
  InstanceExit,
  InstanceSpec,
  Target,
} from '../../packages/server/src/engines/engine.ts';

/** An engine with what the suite needs to try it. */
export interface EngineUnderTest {
  readonly engine: Engine;
  /** A spec with an id of its own whose instance serves the function in `engine-probe/`. */
  spec(overrides?: Partial<InstanceSpec>): InstanceSpec;
  /** A second engine object of the same installation, as after a restart of the server. */
  reopen(): Promise<Engine>;
  /** An engine of another installation on the same substrate. */
  another(): Promise<Engine>;
  /** Ends what `setup` started; the instances are stopped by then. */
  dispose(): Promise<void>;
}

const never = new Promise<InstanceExit>(() => {});

/** Sends one request to an instance; the caller reads `body`, or `close`s. */
async function send(target: Target, path: string, body?: string) {
  const where = target.kind === 'unix' ? { socketPath: target.path } : { host: target.host, port: target.port };
  return new Promise<{ status: number; body: () => Promise<string>; close: () => void }>((resolve, reject) => {
    const sent = httpRequest({ ...where, path, method: body === undefined ? 'GET' : 'POST', agent: false });
    sent.once('response', (response) => {
      response.on('error', () => {});
      resolve({ status: response.statusCode ?? 0, body: () => readText(response), close: () => sent.destroy() });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

async function get(target: Target, path: string, body?: string): Promise<string> {
  const response = await send(target, path, body);
  expect(response.status).toBe(200);
  return response.body();
}

/** What every {@link Engine} promises. Run it once an engine, against the real substrate. */
export function engineConformance(name: string, setup: () => Promise<EngineUnderTest>): void {
  describe(`engine conformance: ${name}`, { timeout: 60_000 }, () => {
    let subject: EngineUnderTest;
    let engine: Engine;
    beforeAll(async () => {
      subject = await setup();
      engine = subject.engine;
      await engine.prepare();
    }, 120_000);
    afterEach(async () => {
      for (const { id } of await engine.list()) await engine.stop(id, { graceMs: 0 });
    }, 60_000);
    afterAll(() => subject.dispose(), 60_000);

    const listed = async (id: string, from = engine): Promise<Instance | undefined> =>
      (await from.list()).find((instance) => instance.id === id);
    const start = async (overrides?: Partial<InstanceSpec>): Promise<Instance> => {
      const instance = await engine.create(subject.spec(overrides));
      await awaitReady(instance.target, { signal: AbortSignal.timeout(30_000), exited: never });
      return instance;
    };
    const collect = async (lines: AsyncIterable<EngineLogLine>) => {
      const collected: EngineLogLine[] = [];
      for await (const line of lines) collected.push(line);
      return collected;
    };

    test('says that it is well', async () => {
      expect(await engine.probe()).toMatchObject({ ok: true });
    });

    test('an instance answers through its target', async () => {
      const { target } = await start();
      expect(await get(target, '/')).toBe('probe');
      expect(await get(target, '/echo', 'x'.repeat(100_000))).toBe('x'.repeat(100_000));
    });

    test('asking twice for one id makes one instance (case 6)', async () => {
      const spec = subject.spec();
      const [first, second] = await Promise.all([engine.create(spec), engine.create(spec)]);
      const third = await engine.create(spec);
      expect([second.id, third.id]).toEqual([first.id, first.id]);
      expect(third.target).toEqual(first.target);
      expect((await engine.list()).map(({ id }) => id)).toEqual([spec.id]);
    });

    test('lists instances with their labels, and never a secret (T2)', async () => {
      const spec = subject.spec({ secrets: { token: Buffer.from('hidden-value') } });
      const before = Date.now();
      await engine.create(spec);
      const found = await listed(spec.id);
      expect(found).toMatchObject({ id: spec.id, labels: spec.labels, state: 'running' });
      expect(Math.abs((found?.startedAt ?? 0) - before)).toBeLessThan(30_000);
      expect(JSON.stringify(found)).not.toContain('hidden-value');
    });

    test('environment and secrets arrive in the instance', async () => {
      const { target } = await start({
        env: { GREETING: 'hello world', EMPTY: '' },
        secrets: { 'api-key': Buffer.from('s3cret\n') },
      });
      expect(await get(target, '/env?name=GREETING')).toBe('hello world');
      expect(await get(target, '/env?name=EMPTY')).toBe('');
      expect(await get(target, '/secret?name=api-key')).toBe('s3cret\n');
    });

    test('does not hand the environment of the server to the instance (T2)', async () => {
      process.env['EBB_CONFORMANCE_LEAK'] = 'leak';
      try {
        const { target } = await start();
        expect((await send(target, '/env?name=EBB_CONFORMANCE_LEAK')).status).toBe(404);
      } finally {
        delete process.env['EBB_CONFORMANCE_LEAK'];
      }
    });

    test('stop resolves once nothing of the instance is left, and again at once (E3)', async () => {
      const { id, target } = await start();
      await engine.stop(id, { graceMs: 5000 });
      expect(await listed(id)).toBeUndefined();
      await expect(send(target, '/')).rejects.toThrow();
      await engine.stop(id, { graceMs: 5000 });
    });

    test('stopping an unknown id resolves', async () => {
      await engine.stop('never-was', { graceMs: 0 });
    });

    test('an id can be used again after a stop', async () => {
      const { id } = await start({ env: { ROUND: '1' } });
      await engine.stop(id, { graceMs: 0 });
      const { target } = await start({ id, env: { ROUND: '2' } });
      expect(await get(target, '/env?name=ROUND')).toBe('2');
    });

    test('stop cuts what does not end within the grace (case 14)', async () => {
      const { id, target } = await start();
      const hanging = await send(target, '/hang');
      const body = hanging.body();
      body.catch(() => {});
      await engine.stop(id, { graceMs: 100 });
      await expect(body).rejects.toThrow();
      expect(await listed(id)).toBeUndefined();
    });

    test('the end of an instance is announced and listed with its exit code', async () => {
      const done = new AbortController();
      const { id, target } = await start();
      const events = engine.events(done.signal);
      const announced = (async (): Promise<EngineEvent | undefined> => {
        for await (const event of events) if (event.id === id) return event;
        return undefined;
      })();
      await send(target, '/exit?code=3').catch(() => {});
      expect(await announced).toMatchObject({ kind: 'exited', id });
      done.abort();
      expect(await listed(id)).toMatchObject({ state: 'exited', exit: { code: 3, outOfMemory: false } });
      await engine.stop(id, { graceMs: 0 });
      expect(await listed(id)).toBeUndefined();
    });

    test('events end when their signal aborts', async () => {
      const done = new AbortController();
      const events = engine.events(done.signal)[Symbol.asyncIterator]();
      const next = events.next();
      done.abort();
      expect(await next).toMatchObject({ done: true });
    });

    test('logs are what the instance wrote, by stream and in order', async () => {
      const { id, target } = await start();
      await get(target, '/log?text=first');
      await get(target, '/log?text=second');
      await get(target, '/log?text=trouble&to=stderr');
      const read = async () => collect(engine.logs(id, { follow: false }));
      await expect.poll(async () => (await read()).map(({ text }) => text)).toContain('trouble');
      await expect.poll(async () => (await read()).map(({ text }) => text)).toContain('second');
      const lines = await read();
      const written = lines.filter(({ source }) => source === 'stdout').map(({ text }) => text);
      expect(written.filter((text) => text === 'first' || text === 'second')).toEqual(['first', 'second']);
      expect(lines.find(({ text }) => text === 'trouble')).toMatchObject({ source: 'stderr' });
      for (const { at } of lines) expect(Math.abs(Date.parse(at) - Date.now())).toBeLessThan(60_000);
    });

    test('a followed log goes on with new lines until the instance ends', async () => {
      const { id, target } = await start();
      await get(target, '/log?text=before');
      const following = collect(engine.logs(id, { follow: true }));
      await get(target, '/log?text=after');
      await send(target, '/exit?code=0').catch(() => {});
      const texts = (await following).map(({ text }) => text);
      expect(texts.filter((text) => text === 'before' || text === 'after')).toEqual(['before', 'after']);
    });

    test('a followed log ends when its signal aborts', async () => {
      const { id, target } = await start();
      await get(target, '/log?text=line');
      const done = new AbortController();
      for await (const line of engine.logs(id, { follow: true, signal: done.signal })) {
        if (line.text === 'line') done.abort();
      }
      expect(await listed(id)).toMatchObject({ state: 'running' });
    });

    test('a log can be continued from a moment', async () => {
      const { id, target } = await start();
      await get(target, '/log?text=old');
      const texts = async (sinceMs: number) =>
        (await collect(engine.logs(id, { follow: false, sinceMs }))).map(({ text }) => text);
      await expect.poll(() => texts(0)).toContain('old');
      await delay(20);
      const sinceMs = Date.now();
      await get(target, '/log?text=new');
      await expect.poll(() => texts(sinceMs)).toContain('new');
      expect(await texts(sinceMs)).not.toContain('old');
    });

    test('a frozen instance answers only after it was thawed, or freezing is refused', async () => {
      const { id, target } = await start();
      if (!engine.capabilities.freeze) {
        await expect(engine.freeze(id)).rejects.toMatchObject({ code: 'UNSUPPORTED_BY_ENGINE' });
        return;
      }
      await engine.freeze(id);
      expect(await listed(id)).toMatchObject({ state: 'frozen' });
      let isAnswered = false;
      const answer = get(target, '/').then((body) => {
        isAnswered = true;
        return body;
      });
      await delay(60);
      expect(isAnswered).toBe(false);
      await engine.thaw(id);
      expect(await answer).toBe('probe');
      expect(await listed(id)).toMatchObject({ state: 'running' });
    });

    test('a frozen instance can be stopped', async () => {
      const { id } = await start();
      if (engine.capabilities.freeze) await engine.freeze(id);
      await engine.stop(id, { graceMs: 5000 });
      expect(await listed(id)).toBeUndefined();
    });

    test('freezing and thawing twice is as good as once', async () => {
      const { id, target } = await start();
      if (!engine.capabilities.freeze) return;
      await engine.freeze(id);
      await engine.freeze(id);
      expect(await listed(id)).toMatchObject({ state: 'frozen' });
      await engine.thaw(id);
      await engine.thaw(id);
      expect(await get(target, '/')).toBe('probe');
    });

    test('connections survive a freeze', async () => {
      const { id, target } = await start();
      if (!engine.capabilities.freeze) return;
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const where = target.kind === 'unix' ? { socketPath: target.path } : { host: target.host, port: target.port };
      const ask = () =>
        new Promise<boolean>((resolve, reject) => {
          const sent = httpRequest({ ...where, path: '/', agent }, (response) => {
            response.resume().once('end', () => resolve(sent.reusedSocket));
          });
          sent.once('error', reject).end();
        });
      expect(await ask()).toBe(false);
      await engine.freeze(id);
      await delay(50);
      await engine.thaw(id);
      expect(await ask()).toBe(true);
      agent.destroy();
    });

    test('a timer that came due while its instance was frozen goes off after the thaw', async () => {
      const { id, target } = await start();
      if (!engine.capabilities.freeze) return;
      const wentOff = async () =>
        (await collect(engine.logs(id, { follow: false }))).filter(({ text }) => text === 'went off').length;
      await get(target, '/later?ms=150&text=went%20off');
      await engine.freeze(id);
      await delay(300);
      // Instances of the memory engine share a process with the tests, whose timers nobody stops.
      if (engine.name !== 'memory') expect(await wentOff()).toBe(0);
      await engine.thaw(id);
      await expect.poll(wentOff).toBe(1);
    });

    test('after a restart a frozen instance is found frozen, and can be thawed or stopped (E1)', async () => {
      const [kept, ended] = [await start(), await start()];
      if (!engine.capabilities.freeze) return;
      await Promise.all([engine.freeze(kept.id), engine.freeze(ended.id)]);
      await using reopened = await subject.reopen();
      expect(await listed(kept.id, reopened)).toMatchObject({ state: 'frozen' });
      await reopened.thaw(kept.id);
      expect(await get(kept.target, '/')).toBe('probe');
      await reopened.stop(ended.id, { graceMs: 5000 });
      expect(await listed(ended.id, reopened)).toBeUndefined();
    });

    test('an instance that is being frozen can be stopped', async () => {
      const { id } = await start();
      if (!engine.capabilities.freeze) return;
      const freezing = engine.freeze(id).catch(() => {});
      await engine.stop(id, { graceMs: 5000 });
      await freezing;
      expect(await listed(id)).toBeUndefined();
    });

    test('freezing or measuring what is not there is a typed error', async () => {
      await expect(engine.freeze('never-was')).rejects.toMatchObject({ name: 'EbbError' });
      await expect(engine.thaw('never-was')).rejects.toMatchObject({ name: 'EbbError' });
      await expect(engine.stats('never-was')).rejects.toMatchObject({ name: 'EbbError' });
    });

    test('an aborted create leaves nothing', async () => {
      const early = subject.spec();
      await expect(engine.create(early, AbortSignal.abort(new Error('early')))).rejects.toThrow();
      const late = subject.spec();
      const stop = new AbortController();
      const creating = engine.create(late, stop.signal);
      stop.abort(new Error('late'));
      // A create that was faster than the abort is as good.
      await creating.then(
        () => engine.stop(late.id, { graceMs: 0 }),
        () => {},
      );
      expect(await engine.list()).toEqual([]);
      // The ids are free again, so nothing was left behind.
      await start({ id: early.id });
      await start({ id: late.id });
    });

    test('measures an instance', async () => {
      const { id } = await start();
      const stats = await engine.stats(id);
      expect(stats.memoryBytes).toBeGreaterThan(0);
      expect(stats.cpuMs).toBeGreaterThanOrEqual(0);
    });

    test('instances of another installation are out of sight and out of reach', async () => {
      const { id, target } = await start();
      await using other = await subject.another();
      expect(await listed(id, other)).toBeUndefined();
      await other.stop(id, { graceMs: 0 });
      await expect(other.freeze(id)).rejects.toMatchObject({ name: 'EbbError' });
      expect(await get(target, '/')).toBe('probe');
    });

    test('after a restart the engine finds its instances, their logs and their end (E1)', async () => {
      const { id, labels, target } = await start();
      await get(target, '/log?text=before');
      await using reopened = await subject.reopen();
      expect(await listed(id, reopened)).toMatchObject({ id, labels, target, state: 'running' });
      expect(await get(target, '/')).toBe('probe');
      const lines = await collect(reopened.logs(id, { follow: false }));
      expect(lines.map(({ text }) => text)).toContain('before');
      const done = new AbortController();
      const events = reopened.events(done.signal);
      await send(target, '/exit?code=0').catch(() => {});
      for await (const event of events) {
        if (event.id === id || event.kind === 'resync') break;
      }
      done.abort();
      await expect.poll(async () => (await listed(id, reopened))?.state ?? 'gone').toMatch(/^(exited|gone)$/);
      await reopened.stop(id, { graceMs: 0 });
      expect(await listed(id, reopened)).toBeUndefined();
    });

    test('after a restart the engine can stop what it finds (E1)', async () => {
      const { id, target } = await start();
      await using reopened = await subject.reopen();
      await reopened.stop(id, { graceMs: 2000 });
      expect(await listed(id, reopened)).toBeUndefined();
      await expect(send(target, '/')).rejects.toThrow();
    });

    describe('spares', () => {
      const spare = async (): Promise<Instance> => {
        const { id, labels, limits, network, readOnlyRootFilesystem } = subject.spec();
        const runtime = 'node';
        const made = await engine.createSpare({ id, labels, runtime, limits, network, readOnlyRootFilesystem });
        await awaitReady(made.target, { signal: AbortSignal.timeout(30_000), exited: never });
        return made;
      };
      const specialise = async (overrides?: Partial<InstanceSpec>): Promise<Instance> => {
        const { id } = await spare();
        const instance = await engine.specialise(subject.spec({ ...overrides, id }));
        const signal = AbortSignal.timeout(10_000);
        await awaitReady(instance.target, { signal, exited: never, healthPath: READY_PATH });
        return instance;
      };

      test('a spare is listed as one, names no function, and can be stopped', async () => {
        if (!engine.capabilities.spares) return;
        const { id } = await spare();
        expect(await listed(id)).toMatchObject({
          spare: true,
          state: 'running',
          labels: { namespace: '', function: '' },
        });
        await engine.stop(id, { graceMs: 5000 });
        expect(await listed(id)).toBeUndefined();
      });

      test('a specialised spare serves the code with its environment and secrets, under the labels of its version', async () => {
        if (!engine.capabilities.spares) return;
        const { id, labels, target } = await specialise({
          env: { GREETING: 'hello world', EMPTY: '' },
          secrets: { 'api-key': Buffer.from('s3cret\n') },
        });
        expect(await get(target, '/')).toBe('probe');
        expect(await get(target, '/env?name=GREETING')).toBe('hello world');
        expect(await get(target, '/env?name=EMPTY')).toBe('');
        expect((await send(target, '/env?name=EBB_SPARE')).status).toBe(404);
        expect(await get(target, '/secret?name=api-key')).toBe('s3cret\n');
        const found = await listed(id);
        expect(found).toMatchObject({ id, labels, state: 'running' });
        expect(found?.spare).toBeUndefined();
        expect(JSON.stringify(found)).not.toContain('s3cret');
      });

      test('no instance is specialised twice, neither through the engine nor by its callers (T1)', async () => {
        if (!engine.capabilities.spares) return;
        const { id, target } = await specialise();
        await expect(engine.specialise(subject.spec({ id }))).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
        await expect(engine.specialise(subject.spec({ id: 'never-was' }))).rejects.toMatchObject({
          code: 'ENGINE_FAILED',
        });
        expect(await get(target, '/_/specialise', '{"env":{"GREETING":"forged"},"workDir":"/"}')).toBe('probe');
        expect((await send(target, '/env?name=GREETING')).status).toBe(404);
      });

      test('the log and the end of a specialised spare are those of any instance', async () => {
        if (!engine.capabilities.spares) return;
        const { id, target } = await specialise();
        await get(target, '/log?text=spoken');
        const texts = async () => (await collect(engine.logs(id, { follow: false }))).map(({ text }) => text);
        await expect.poll(texts).toContain('spoken');
        await send(target, '/exit?code=3').catch(() => {});
        await expect.poll(async () => (await listed(id))?.exit).toMatchObject({ code: 3 });
        await engine.stop(id, { graceMs: 0 });
        expect(await listed(id)).toBeUndefined();
      });

      test('after a restart spares and specialised ones are told apart, and both can be stopped (E1)', async () => {
        if (!engine.capabilities.spares) return;
        const idle = await spare();
        const { id, labels, target } = await specialise();
        await using reopened = await subject.reopen();
        expect(await listed(idle.id, reopened)).toMatchObject({ spare: true });
        const found = await listed(id, reopened);
        expect(found).toMatchObject({ labels, state: 'running' });
        expect(found?.spare).toBeUndefined();
        expect(await get(target, '/')).toBe('probe');
        for (const one of [idle.id, id]) await reopened.stop(one, { graceMs: 1000 });
        expect(await reopened.list()).toEqual([]);
      });

      test('an engine without spares says so with a typed error', async () => {
        if (engine.capabilities.spares) return;
        await expect(spare()).rejects.toMatchObject({ code: 'UNSUPPORTED_BY_ENGINE' });
      });
    });

    test('an engine that cannot run images says so with a typed error', async () => {
      if (engine.capabilities.images) return;
      const image = subject.spec({ source: { kind: 'image', image: 'busybox', port: 8080 } });
      await expect(engine.create(image)).rejects.toMatchObject({ code: 'UNSUPPORTED_BY_ENGINE' });
      await expect(engine.resolveImage('busybox')).rejects.toMatchObject({ code: 'UNSUPPORTED_BY_ENGINE' });
      expect(await engine.list()).toEqual([]);
    });
  });
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { eventually } from '../../../../../testing/harness/gateway.ts';
import { EbbError } from '../../core/errors.ts';
import { createLogger } from '../../core/logger.ts';
import { openLendable } from '../../store/lendable-key-value.ts';
import { createMemoryKeyValue } from '../../store/memory/memory-key-value.ts';
import { createApiGate } from './api-gate.ts';
import { createHandOverSteps } from './hand-over-steps.ts';

const GOES_ON = new AbortController().signal;

test('a server whose store cannot be opened again serves on, refuses changes in a sentence, and tries until it can', async () => {
  let isFailing = false;
  const store = await openLendable(() =>
    isFailing
      ? Promise.reject(new EbbError('STORE_FAILED', 'the disk is gone'))
      : Promise.resolve(createMemoryKeyValue()),
  );
  const served: string[] = [];
  const gate = createApiGate(({ url = '' }: IncomingMessage, _response: ServerResponse) => void served.push(url));
  const done: string[] = [];
  const steps = createHandOverSteps(
    {
      gate,
      store,
      calls: {
        hold: () => Promise.resolve(),
        lend: () => Promise.resolve(),
        giveAway: () => {},
        takeBack: () => Promise.resolve(),
        passOn: () => {},
        goOn: () => void done.push('calls'),
      },
      deploys: { hold: () => Promise.resolve(), goOn: () => {} },
      jobs: { hold: () => Promise.resolve(), goOn: () => {} },
      pools: { pause: () => Promise.resolve(), release: () => {}, resume: () => void done.push('pools') },
      rollouts: { hold: () => Promise.resolve(), goOn: () => void done.push('rollouts') },
      front: { handOn: () => {}, callsEnded: () => Promise.resolve(), leave: () => {} },
      logger: createLogger('silent'),
      onReleased: () => {},
      onReplaced: () => {},
    },
    { takeBackEveryMs: 10 },
  );
  const change = () => store.commit([{ kind: 'set', key: 'a', value: '1' }]);
  const fails = async () => {
    await steps.lend(GOES_ON);
    await steps.give('/nowhere');
    await steps.resume();
  };
  isFailing = true;
  await fails();
  expect(done).toEqual(['pools']);
  const refused = 'nothing can be changed until the store is open again, which is tried: the disk is gone';
  await expect(change()).rejects.toMatchObject({ code: 'STORE_FAILED', message: refused });
  const request = { method: 'GET', url: '/v1/version' } as IncomingMessage;
  gate.handle(request, { headersSent: true, once: () => {} } as unknown as ServerResponse);
  expect(served).toEqual(['/v1/version']);

  isFailing = false;
  await eventually(() => done.includes('rollouts'));
  await change();

  // Another successor may come while it is tried, and has the store then.
  isFailing = true;
  await fails();
  await steps.lend(GOES_ON);
  isFailing = false;
  await new Promise((resolve) => setTimeout(resolve, 50));
  await expect(change()).rejects.toMatchObject({ code: 'STORE_FAILED' });
  await store[Symbol.asyncDispose]();
});

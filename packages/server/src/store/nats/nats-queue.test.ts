import { afterAll, beforeAll, describe } from 'vitest';
import { queueConformance } from '../../../../../testing/conformance/queue.ts';
import { ensureNats, type NatsService, startNats } from '../../../../../testing/services/nats.ts';
import { createNatsQueue } from './nats-queue.ts';

const unavailable = await ensureNats();

describe.skipIf(unavailable !== undefined)('NATS', () => {
  let nats: NatsService;
  let opened = 0;
  beforeAll(async () => {
    nats = await startNats();
  });
  afterAll(() => nats[Symbol.asyncDispose]());

  queueConformance(
    'nats',
    async () => {
      opened += 1;
      const installation = `t${opened}`;
      const open = () => createNatsQueue({ servers: nats.url, installation });
      return { queue: await open(), reopen: open };
    },
    { histories: 40 },
  );
});

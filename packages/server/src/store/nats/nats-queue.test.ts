import { afterAll, beforeAll } from 'vitest';
import { queueConformance } from '../../../../../testing/conformance/queue.ts';
import { describeWithNats } from '../../../../../testing/harness/nats.ts';
import { type NatsService, startNats } from '../../../../../testing/services/nats.ts';
import { createNatsQueue } from './nats-queue.ts';

describeWithNats('NATS', () => {
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
    { histories: 150 },
  );
});

import { pino } from 'pino';
import { expect, test } from 'vitest';
import { wireQueue } from './wire-queue.ts';

test('a queue on NATS without an address is refused, with what to set', async () => {
  const config = { dataDir: '/nowhere', queue: 'nats', natsUrl: undefined } as const;
  await expect(wireQueue({ config, installation: 'i', logger: pino({ level: 'silent' }) })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: 'natsUrl must be set where queue is "nats", such as "nats://localhost:4222"',
  });
});

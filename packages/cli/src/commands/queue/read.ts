import type { LeasedItem } from '@ebb/contract';
import { defineCommand } from '../../core/command.ts';
import { checkName, namespaceOf } from '../../core/function-ref.ts';

/** Takes items from a queue and prints their bodies, one a line. */
export const readQueueCommand = defineCommand({
  name: 'queue read',
  summary: 'take items from a queue and print them, one a line; they are gone from it then',
  args: [{ name: 'name', summary: 'name of the queue' }],
  options: [
    { flags: '--max <count>', summary: 'at most this many (default 10)' },
    { flags: '--keep', summary: 'leave them in the queue' },
  ],
  examples: ['ebb queue read failed --max 100 > failed.jsonl', 'ebb queue read failed --keep'],
  async run(context) {
    const { parameters, output, signal } = context;
    const name = await checkName(parameters.required('name'), 'name');
    const namespace = await namespaceOf(context);
    const { client } = await context.connect();
    const items = await client.queues.lease(namespace, name, { max: parameters.count('max', 1) ?? 10 }, { signal });
    if (items.length === 0) {
      output.note('the queue is empty');
      output.result([], () => undefined);
      return;
    }
    const bodies = await Promise.all(items.map((item) => bodyOf(item)));
    if (output.mode.json)
      output.result(
        items.map((item, index) => ({ ...item, body: bodies[index] })),
        () => undefined,
      );
    else for (const [index, body] of bodies.entries()) output.resultLine(items[index], () => body);
    // Only now: whoever is stopped before has lost nothing.
    const receipts = items.map(({ receipt }) => receipt);
    if (parameters.flag('keep')) await client.queues.release(namespace, name, receipts, { signal });
    else await client.queues.ack(namespace, name, receipts, { signal });

    async function bodyOf({ id, base64 }: LeasedItem): Promise<string> {
      if (base64 !== undefined) return Buffer.from(base64, 'base64').toString();
      const { body } = await client.invocations.payload(id, { signal });
      return body.text();
    }
  },
});

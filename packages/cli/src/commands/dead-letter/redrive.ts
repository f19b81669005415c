import type { Redriven } from '@ebb/contract';
import { defineCommand } from '../../core/command.ts';
import { FILTER_OPTIONS, selectionOf } from '../../invocation/dead-letter-filter.ts';

/** Queues dead letters anew, step by step; stopped half-way and called again, it goes on with the rest. */
export const redriveDeadLettersCommand = defineCommand({
  name: 'dead-letters redrive',
  summary: 'queue asynchronous calls anew that were given up: by id, or all that match',
  args: [{ name: 'ids', summary: 'ids of the calls', kind: 'many' }],
  options: [...FILTER_OPTIONS, { flags: '--all', summary: 'of every function of the namespace' }],
  examples: [
    'ebb dead-letters redrive 5b9c2c0e-5f6c-4e0a-9a53-0d3f6c1f8a21',
    'ebb dead-letters redrive --function thumbnail --since 2h',
    'ebb dead-letters redrive --all --reason attempts',
  ],
  async run(context) {
    const { output, startTask, signal } = context;
    const selection = await selectionOf(context, 'redrive');
    const { client } = await context.connect();
    const task = await startTask('redriving');
    const total = { count: 0, skipped: 0, calls: [] as Redriven['calls'] };
    try {
      for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
        const step = await client.deadLetters.redrive(cursor === undefined ? selection : { ...selection, cursor }, {
          signal,
        });
        total.count += step.count;
        total.skipped += step.skipped;
        total.calls.push(...step.calls);
        task.update(`redriving: ${total.count}`);
        cursor = step.next;
      }
      task.done();
    } catch (error) {
      task.failed();
      if (total.count > 0)
        output.warn(`${total.count} were redriven before this; the same command goes on with the rest`);
      throw error;
    }
    output.result(
      total,
      () => total.calls.map(({ id, as }) => `${id} is queued anew as ${as}`).join('\n') || undefined,
    );
    output.note(
      `redrove ${total.count}${total.skipped > 0 ? `; left out ${total.skipped} that ${total.skipped === 1 ? 'is' : 'are'} no dead letter or redriven already` : ''}`,
    );
  },
});

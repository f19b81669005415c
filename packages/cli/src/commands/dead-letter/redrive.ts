import type { Redriven } from '@ebb/contract';
import { defineCommand } from '../../core/command.ts';
import { changeDeadLetters, requireFound } from '../../invocation/change-dead-letters.ts';
import { FILTER_OPTIONS, selectionOf } from '../../invocation/dead-letter-filter.ts';

/** Queues dead letters anew, step by step; stopped half-way and called again, it goes on with the rest. */
export const redriveDeadLettersCommand = defineCommand({
  name: 'dead-letters redrive',
  summary: 'queue asynchronous calls anew that were given up: by id, or all that match',
  args: [{ name: 'ids', summary: 'ids of the calls', kind: 'many' }],
  options: [
    ...FILTER_OPTIONS,
    { flags: '--all', summary: 'of every function of the namespace' },
    { flags: '--to <function>', summary: 'as calls of another function: NAME, NAME:ALIAS, NAME@VERSION' },
  ],
  examples: [
    'ebb dead-letters redrive 5b9c2c0e-5f6c-4e0a-9a53-0d3f6c1f8a21',
    'ebb dead-letters redrive --function thumbnail --since 2h',
    'ebb dead-letters redrive --all --reason attempts',
    'ebb dead-letters redrive --function thumbnail --to thumbnail:beta',
  ],
  async run(context) {
    const { parameters, output, signal } = context;
    const selection = await selectionOf(context, 'redrive');
    const to = parameters.text('to');
    const { client } = await context.connect();
    const calls: Redriven['calls'] = [];
    const total = await changeDeadLetters(context, selection, {
      doing: 'redriving',
      done: 'redriven',
      step: (part) => client.deadLetters.redrive({ ...part, to }, { signal }),
      onStep: (step) => void calls.push(...step.calls),
    });
    output.result(
      { ...total, calls },
      () => calls.map(({ id, as }) => `${id} is queued anew as ${as}`).join('\n') || undefined,
    );
    const before = total.skipped - total.notFound.length;
    output.note(
      `redrove ${total.count}${before > 0 ? `; left out ${before} that ${before === 1 ? 'was' : 'were'} redriven before` : ''}`,
    );
    requireFound(total);
  },
});

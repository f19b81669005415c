import type { DeadLetterSelection } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { createOutput } from '../terminal/output.ts';
import { changeDeadLetters, requireFound } from './change-dead-letters.ts';

function open() {
  const said: string[] = [];
  const sink = { write: (text: string | Uint8Array) => said.push(String(text)) > 0 };
  const output = createOutput(sink, sink, { json: false, quiet: false, color: false });
  const task = { update: () => {}, done: () => {}, failed: () => {} };
  return { said, context: { output, startTask: async () => task } };
}

describe('changeDeadLetters', () => {
  test('goes on while there is more, and with more ids than a request takes', async () => {
    const { context } = open();
    const asked: DeadLetterSelection[] = [];
    const step = async (part: DeadLetterSelection) => {
      asked.push(part);
      return { count: part.ids?.length ?? 1, skipped: 0, ...(asked.length === 1 && { next: '7' }) };
    };
    const doing = { doing: 'purging', done: 'removed', step };
    expect(await changeDeadLetters(context, { function: 'mail' }, doing)).toMatchObject({ count: 2 });
    expect(asked).toEqual([{ function: 'mail' }, { function: 'mail', cursor: '7' }]);
    asked.length = 1;
    const ids = Array.from({ length: 2001 }, (_, index) => `id${index}`);
    expect(await changeDeadLetters(context, { ids }, doing)).toMatchObject({ count: 2001 });
    expect(asked.slice(1).map((part) => part.ids?.length)).toEqual([1000, 1000, 1]);
  });

  test('what fails half-way says how much was done', async () => {
    const { context, said } = open();
    let steps = 0;
    const step = async () => {
      if (++steps === 2) throw new Error('gone');
      return { count: 3, skipped: 0, next: '1' };
    };
    await expect(changeDeadLetters(context, {}, { doing: 'redriving', done: 'redriven', step })).rejects.toThrow(
      'gone',
    );
    expect(said.join('')).toContain('3 were redriven before this');
  });

  test('ids that no dead letter has are an error that names them, after the others were done', async () => {
    const { context } = open();
    const total = await changeDeadLetters(
      context,
      { ids: ['a', 'b', 'c'] },
      { doing: 'purging', done: 'removed', step: async () => ({ count: 1, skipped: 2, notFound: ['b', 'c'] }) },
    );
    expect(() => requireFound(total)).toThrow(
      expect.objectContaining({ exitCode: 3, message: expect.stringMatching(/ids b, c;/) as string }),
    );
    expect(() => requireFound({ count: 1, skipped: 0, notFound: [] })).not.toThrow();
  });
});

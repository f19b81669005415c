import { describe, expect, test } from 'vitest';
import { describeProblem } from './describe-issue.ts';
import { invocationListQuerySchema } from './invocation.ts';

describe('what is wrong with an input', () => {
  test('says how a moment is written', () => {
    const query = { since: 'yesterday' };
    const { error } = invocationListQuerySchema.safeParse(query);
    expect(error && describeProblem(error, query)).toEqual({
      code: 'INVALID_REQUEST',
      message: '"since" is "yesterday" but must be a moment such as "2027-01-31T08:00:00Z"',
    });
  });
});

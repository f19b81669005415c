import { describe, expect, test } from 'vitest';
import { describeProblem } from './describe-issue.ts';
import { jobSpecSchema, resolveJob } from './job-spec.ts';

const refusal = (spec: unknown) => {
  const checked = jobSpecSchema.safeParse(spec);
  return checked.success ? undefined : describeProblem(checked.error, spec, 'the job').message;
};

describe('the spec of a job', () => {
  test('needs exactly one of image and function', () => {
    expect(refusal({})).toContain('image');
    expect(refusal({ image: 'a', function: 'b' })).toContain('exactly one');
    expect(refusal({ image: 'a' })).toBeUndefined();
    expect(refusal({ function: 'b:beta' })).toBeUndefined();
  });

  test('refuses for a function what a function says itself', () => {
    expect(refusal({ function: 'b', memory: '1Gi' })).toContain('memory');
    expect(refusal({ function: 'b', command: ['x'] })).toContain('command');
    expect(refusal({ function: 'b', retries: 3, timeout: '5m' })).toBeUndefined();
  });

  test('refuses another number of tasks than of inputs, unknown fields and the platform’s own variables', () => {
    expect(refusal({ image: 'a', inputs: ['x', 'y'], tasks: 3 })).toContain('2');
    expect(refusal({ image: 'a', privileged: true })).toContain('privileged');
    expect(refusal({ image: 'a', env: { EBB_TASK_INDEX: '1' } })).toContain('EBB_TASK_INDEX');
    expect(refusal({ image: 'a', env: { CLOUD_RUN_TASK_INDEX: '1' } })).toContain('CLOUD_RUN_TASK_INDEX');
  });

  test('has one task unless it says, or one for each input', () => {
    expect(resolveJob(jobSpecSchema.parse({ image: 'a' }))).toMatchObject({ count: 1, timeoutMs: 3_600_000 });
    expect(resolveJob(jobSpecSchema.parse({ image: 'a', inputs: ['x', 'y'] })).count).toBe(2);
    expect(resolveJob(jobSpecSchema.parse({ image: 'a', tasks: 9 })).count).toBe(9);
  });
});

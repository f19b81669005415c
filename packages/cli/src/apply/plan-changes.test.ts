import { type FunctionResource, type FunctionSpecInput, functionSpecSchema } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { CODE, functionResource } from '../../../../testing/harness/function-resource.ts';
import { describePlan, planValue } from './describe-plan.ts';
import { type Desired, planChanges } from './plan-changes.ts';

const OTHER_CODE = `sha256:${'b'.repeat(64)}`;
const plain = { style: (_style: string, text: string) => text };

function desired(name: string, spec: FunctionSpecInput = {}, code = CODE): Desired {
  return { ref: { namespace: 'n', name }, spec: functionSpecSchema.parse({ runtime: 'node', ...spec }), code };
}

function deployed(name: string, spec: FunctionSpecInput = {}, code = CODE): FunctionResource {
  return functionResource('n', name, { runtime: 'node', ...spec }, code);
}

describe('a plan', () => {
  test('makes what is missing, changes what differs and leaves the rest', () => {
    const changes = planChanges(
      [desired('new'), desired('same'), desired('other', { memory: '512Mi', scale: { max: 3 } }, OTHER_CODE)],
      [deployed('same'), deployed('other'), deployed('foreign')],
      { prune: false },
    );
    expect(changes.map(({ action, ref }) => `${action} ${ref.name}`)).toEqual([
      'create new',
      'unchanged same',
      'update other',
    ]);
    expect(changes[2]?.fields).toEqual([
      { field: 'memory', before: '256Mi', after: '512Mi' },
      { field: 'scale.max', before: 20, after: 3 },
      { field: 'code', before: CODE, after: OTHER_CODE },
    ]);
  });

  test('removes what the file does not name only where that is asked for, and last', () => {
    const changes = planChanges([desired('kept')], [deployed('foreign'), deployed('kept')], { prune: true });
    expect(changes.map(({ action, ref }) => `${action} ${ref.name}`)).toEqual(['unchanged kept', 'remove foreign']);
  });

  test('is told field by field, without values of variables', () => {
    const changes = planChanges(
      [desired('a', { env: { KEY: 'sesame', NEW: 'sesame' }, secrets: ['x'], timeout: '5s', handler: 'b.js' })],
      [deployed('a', { env: { KEY: 'old-sesame', GONE: 'sesame' } }), deployed('b')],
      { prune: true },
    );
    const text = describePlan({ newNamespaces: ['shop'], changes }, plain);
    expect(text).toBe(
      [
        '+ create namespace shop',
        '~ update a',
        '    env.GONE  removed',
        '    env.KEY   changed',
        '    env.NEW   added',
        '    handler   b.js (was not set)',
        '    secrets   [] → ["x"]',
        '    timeout   60s → 5s',
        '- remove b',
        '0 to create, 1 to update, 1 to remove, 0 unchanged.',
      ].join('\n'),
    );
    expect(JSON.stringify(planValue(changes))).not.toContain('sesame');
  });
});

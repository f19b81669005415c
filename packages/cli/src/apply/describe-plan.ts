import type { FieldChange } from '@ebb/contract';
import type { Output, Style } from '../terminal/output.ts';
import { escapeControls } from '../terminal/escape-controls.ts';
import type { Plan } from './make-plan.ts';
import type { PlannedChange } from './plan-changes.ts';

const SIGNS: Readonly<Record<PlannedChange['action'], { readonly sign: string; readonly style: Style }>> = {
  create: { sign: '+', style: 'green' },
  update: { sign: '~', style: 'yellow' },
  remove: { sign: '-', style: 'red' },
  unchanged: { sign: '=', style: 'dim' },
};
const DIGEST = /^sha256:([0-9a-f]{12})[0-9a-f]{52}$/;
const LONGEST_VALUE = 60;

/** A plan for a person: what is made, changed field by field, and removed. Values of variables are never shown. */
export function describePlan({ newNamespaces, changes }: Omit<Plan, 'targets'>, output: Pick<Output, 'style'>): string {
  const namespaces = newNamespaces.map((name) => output.style('green', `+ create namespace ${name}`));
  const lines = changes
    .filter(({ action }) => action !== 'unchanged')
    .flatMap(({ action, ref, fields }) => {
      const { sign, style } = SIGNS[action];
      const width = Math.max(0, ...fields.map(({ field }) => field.length));
      return [
        output.style(style, `${sign} ${action} ${ref.name}`),
        ...fields.map((change) => `    ${escapeControls(change.field).padEnd(width)}  ${describeChange(change)}`),
      ];
    });
  return [...namespaces, ...lines, summarise(changes)].join('\n');
}

/** The same for programs; values of variables are left out. */
export function planValue(changes: readonly PlannedChange[]) {
  return changes.map(({ action, ref, fields }) => ({
    action,
    ...ref,
    fields: fields.map((change) => (isHidden(change) ? { field: change.field, change: kindOf(change) } : change)),
  }));
}

/** How many of each there are, in one line. */
function summarise(changes: readonly PlannedChange[]): string {
  const count = (action: PlannedChange['action']) => changes.filter((change) => change.action === action).length;
  const parts = [
    `${count('create')} to create`,
    `${count('update')} to update`,
    ...(count('remove') > 0 ? [`${count('remove')} to remove`] : []),
    `${count('unchanged')} unchanged`,
  ];
  return `${parts.join(', ')}.`;
}

function describeChange(change: FieldChange): string {
  if (isHidden(change)) return kindOf(change);
  if (kindOf(change) === 'added') return `${show(change.after)} (was not set)`;
  if (kindOf(change) === 'removed') return `not set any more (was ${show(change.before)})`;
  return `${show(change.before)} → ${show(change.after)}`;
}

/** Values of variables may be what nobody else should read, and plans are kept in logs. */
function isHidden({ field }: FieldChange): boolean {
  return field.startsWith('env.');
}

function kindOf(change: FieldChange): 'added' | 'removed' | 'changed' {
  return 'before' in change ? ('after' in change ? 'changed' : 'removed') : 'added';
}

function show(value: unknown): string {
  const text = typeof value === 'string' ? value.replace(DIGEST, '$1') : JSON.stringify(value);
  const safe = escapeControls(text);
  return safe.length > LONGEST_VALUE ? `${safe.slice(0, LONGEST_VALUE - 1)}…` : safe;
}

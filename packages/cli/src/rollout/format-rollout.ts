import { formatDuration, type RolloutEntry, type RolloutResource, type RolloutSide } from '@ebb/contract';
import { formatAge, formatMoment } from '../core/format-time.ts';
import { formatFields, formatTable } from '../terminal/table.ts';

const STATES: Readonly<Record<RolloutResource['state'], string>> = {
  running: 'running',
  paused: 'paused by hand',
  finished: 'finished',
  promoted: 'promoted by hand',
  'rolled-back': 'ROLLED BACK',
  aborted: 'aborted',
};

/** A rollout for people: where it is, what it waits for, how both versions do, and what was decided when. */
export function formatRollout(rollout: RolloutResource): string {
  return [fields(rollout), sides(rollout), timeline(rollout)].join('\n\n');
}

/** A rollout that runs in one line: `running, version 6 to 7, step 1 of 4 at 5 %: what it waits for (REASON)`. */
export function describeRollout({ state, from, to, step, steps, weight, message, reason }: RolloutResource): string {
  return `${STATES[state]}, version ${from} to ${to}, step ${step + 1} of ${steps.length} at ${weight} %: ${message} (${reason})`;
}

/** One line of a timeline: `14:03:22  advance  25 %  all is well`. */
export function formatEntry({ at, action, weight, message }: RolloutEntry): string {
  return `${formatMoment(Date.parse(at), Date.now())}  ${action.padEnd(9)}  ${`${weight} %`.padStart(5)}  ${message}`;
}

function fields(rollout: RolloutResource): string {
  const { namespace, name, id, strategy, from, to, state, step, steps, weight, reason, message } = rollout;
  const { startedAt, endedAt } = rollout;
  const now = Date.now();
  const isOver = endedAt !== undefined;
  return formatFields([
    ['Function', `${name}.${namespace}, rollout ${id}`],
    ['Versions', `${from} to ${to}, ${strategy}`],
    [
      'State',
      isOver
        ? `${STATES[state]}, ${formatAge(endedAt, now)}`
        : `${STATES[state]}, started ${formatAge(startedAt, now)}`,
    ],
    ['Step', isOver ? undefined : `${step + 1} of ${steps.length}`],
    ['Steps', steps.map((one) => `${one.weight} % ${one.pause}`).join(', ')],
    [
      'Calls',
      reason === 'CHANGED_BY_HAND'
        ? undefined
        : `version ${to} gets ${weight} %, version ${from} ${Number((100 - weight).toFixed(2))} %`,
    ],
    [isOver ? 'Because' : 'Now', `${message} (${reason})`],
  ]);
}

function sides({ old, new: young }: RolloutResource): string {
  return formatTable(
    [
      { what: 'old', side: old },
      { what: 'new', side: young },
    ],
    [
      { title: 'side', value: ({ what }) => what },
      { title: 'version', value: ({ side }) => side.version, align: 'right' },
      { title: 'calls', value: ({ side }) => side.calls, align: 'right' },
      { title: 'failed', value: ({ side }) => failed(side), align: 'right' },
      {
        title: 'p95',
        value: ({ side }) => (side.p95Ms === undefined ? '' : formatDuration(side.p95Ms)),
        align: 'right',
      },
      { title: 'starts', value: ({ side }) => side.starts, align: 'right' },
      { title: 'failed starts', value: ({ side }) => side.failedStarts, align: 'right' },
    ],
  );
}

function failed({ calls, failed: count }: RolloutSide): string {
  return calls === 0 ? '' : `${count} (${Number(((count / calls) * 100).toPrecision(3))} %)`;
}

function timeline({ timeline: entries }: RolloutResource): string {
  return formatTable(entries, [
    { title: 'at', value: ({ at }) => formatMoment(Date.parse(at), Date.now()) },
    { title: 'action', value: ({ action }) => action },
    { title: 'weight', value: ({ weight }) => `${weight} %`, align: 'right' },
    { title: 'reason', value: ({ reason }) => reason },
    { title: 'decided', value: ({ message }) => message },
  ]);
}

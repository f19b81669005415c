import type { DeadLetterSelection } from '@ebb/contract';
import { CliError } from '../core/cli-error.ts';
import type { CommandContext } from '../core/command.ts';

/** Most ids that an error names one by one. */
const MOST_NAMED = 20;

/** What one request came to. */
interface Step {
  readonly count: number;
  readonly skipped: number;
  readonly notFound?: readonly string[] | undefined;
  readonly next?: string | undefined;
}

/** What all requests came to. */
export interface Changed {
  count: number;
  skipped: number;
  readonly notFound: string[];
}

/** How dead letters are changed. */
export interface Change<S extends Step> {
  /** What is being done, as the progress says it: `purging`. */
  readonly doing: string;
  /** What has been done, as a warning says it: `removed`. */
  readonly done: string;
  readonly step: (selection: DeadLetterSelection) => Promise<S>;
  readonly onStep?: (step: S) => void;
}

/** Changes all dead letters of a selection, as many at a time as a request takes, and shows how far it is. */
export async function changeDeadLetters<S extends Step>(
  context: Pick<CommandContext, 'output' | 'startTask'>,
  selection: DeadLetterSelection,
  { doing, done, step, onStep }: Change<S>,
): Promise<Changed> {
  const task = await context.startTask(doing);
  const total: Changed = { count: 0, skipped: 0, notFound: [] };
  try {
    for (const part of await partsOf(selection)) {
      let cursor: string | undefined;
      do {
        const change = await step(cursor === undefined ? part : { ...part, cursor });
        total.count += change.count;
        total.skipped += change.skipped;
        total.notFound.push(...(change.notFound ?? []));
        onStep?.(change);
        task.update(`${doing}: ${total.count}`);
        cursor = change.next;
      } while (cursor !== undefined);
    }
    task.done();
    return total;
  } catch (error) {
    task.failed();
    if (total.count > 0)
      context.output.warn(`${total.count} were ${done} before this; the same command goes on with the rest`);
    throw error;
  }
}

/** Throws NOT_FOUND with the ids that no dead letter has, once the others are done with. */
export function requireFound({ notFound }: Changed): void {
  if (notFound.length === 0) return;
  const named = notFound.slice(0, MOST_NAMED).join(', ');
  const rest = notFound.length > MOST_NAMED ? ` and ${notFound.length - MOST_NAMED} more` : '';
  throw new CliError(
    'NOT_FOUND',
    `no dead letter has the ${notFound.length === 1 ? 'id' : 'ids'} ${named}${rest}; "ebb dead-letters list" shows those there are`,
  );
}

/** A request takes only so many ids. */
async function partsOf(selection: DeadLetterSelection): Promise<readonly DeadLetterSelection[]> {
  const { ids } = selection;
  if (ids === undefined) return [selection];
  const { DEAD_LETTERS_MAX_STEP: most } = await import('@ebb/contract');
  return Array.from({ length: Math.ceil(ids.length / most) }, (_, part) => ({
    ...selection,
    ids: ids.slice(part * most, (part + 1) * most),
  }));
}

import type { VersionKey } from '@ebb/contract';
import type { Instance } from '../engines/engine.ts';

/** What is to be done about one instance the engine has. */
export type ReconcileAction =
  | { readonly kind: 'adopt'; readonly key: VersionKey; readonly instance: Instance }
  | { readonly kind: 'stop'; readonly id: string; readonly reason: string };

/** What the server knows when it compares itself with the engine. */
export interface ReconcileView {
  /** Whether a pool counts the instance among its own, or is starting it. */
  readonly known: (id: string) => boolean;
  /** Whether a version serves. */
  readonly serving: (key: VersionKey) => boolean;
  /** Id of this server process. */
  readonly generation: string;
}

/**
 * Compares the instances there really are with those the server knows (E1): what runs a serving version for an
 * earlier server is adopted, everything else that nobody knows is stopped.
 */
export function decideReconcile(instances: readonly Instance[], view: ReconcileView): ReconcileAction[] {
  const actions: ReconcileAction[] = [];
  for (const instance of instances) {
    if (view.known(instance.id)) continue;
    if (instance.spare) {
      actions.push({ kind: 'stop', id: instance.id, reason: 'nobody here keeps it ready' });
      continue;
    }
    const { labels } = instance;
    const key: VersionKey = `${labels.namespace}/${labels.function}@${labels.version}`;
    if (instance.state === 'exited') actions.push({ kind: 'stop', id: instance.id, reason: 'it has ended' });
    else if (!view.serving(key)) actions.push({ kind: 'stop', id: instance.id, reason: 'its version does not serve' });
    else if (labels.generation === view.generation) {
      actions.push({ kind: 'stop', id: instance.id, reason: 'nobody here started it' });
    } else actions.push({ kind: 'adopt', key, instance });
  }
  return actions;
}

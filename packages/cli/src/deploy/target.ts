import type { FunctionName, FunctionSpecInput, RolloutSpecInput } from '@ebb/contract';

/** One function to deploy. */
export interface Target {
  readonly ref: FunctionName;
  readonly spec: FunctionSpecInput;
  /** How its new version takes over; absent for all at once. */
  readonly rollout?: RolloutSpecInput;
  /** Absolute path of the code of a managed runtime. */
  readonly codeDir?: string;
  /** The file that says so. */
  readonly manifest?: string;
}

/** Names a function among those that are watched. */
export function targetKey(target: Pick<Target, 'ref'>): string {
  return `${target.ref.namespace}/${target.ref.name}`;
}

import { describeProblem, type FunctionName, type FunctionSpec, functionSpecSchema, NAME_PATTERN } from '@ebb/contract';
import { toFunctionSpec } from '@ebb/contract';
import type { Target } from '../deploy/target.ts';
import type { ImageBuild, ImportedFunction } from './deployment.ts';
import { describeDifferences } from './describe-differences.ts';

/** A function on its way: what it is here, or why it cannot be. */
export type Brought =
  | {
      readonly kind: 'target';
      readonly ref: FunctionName;
      readonly target: Target;
      readonly spec: FunctionSpec;
      readonly image: string;
      readonly build?: ImageBuild;
      readonly notes: readonly string[];
    }
  | {
      readonly kind: 'refused';
      readonly ref: FunctionName;
      readonly reason: string;
      readonly notes: readonly string[];
    };

/** Turns a function of another platform into one of here, by the mapping that the server itself goes by. Pure. */
export function toBrought({ deployment, build, notes }: ImportedFunction): Brought {
  throw new Error('todo');
}

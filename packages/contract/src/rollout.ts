import { z } from 'zod';
import { WEIGHT_TOTAL } from './alias.ts';
import { parseDurationMs } from './quantity.ts';
import { duration } from './quantity-schema.ts';

const DAY = 86_400_000;

/** How calls move from the old version of a function to the new one. */
export const ROLLOUT_STRATEGIES = ['all-at-once', 'linear', 'canary', 'blue-green'] as const;
/** How calls move from the old version of a function to the new one. */
export type RolloutStrategy = (typeof ROLLOUT_STRATEGIES)[number];

/** What a new version is watched for. */
export const ROLLOUT_RULES = ['errors', 'latency', 'cold-starts'] as const;
/** What a new version is watched for. */
export type RolloutRule = (typeof ROLLOUT_RULES)[number];

const CANARY_WEIGHTS = [5, 25, 50];
const DEFAULT_PAUSE = '1m';
const DEFAULT_LINEAR_STEP = 10;
const DEFAULT_BAKE: Readonly<Record<RolloutStrategy, string>> = {
  'all-at-once': '0s',
  linear: '1m',
  canary: '1m',
  'blue-green': '5m',
};

const percentSchema = z
  .number()
  .min(0.01)
  .max(WEIGHT_TOTAL)
  .refine(
    (weight) => Math.abs(weight * 100 - Math.round(weight * 100)) < 1e-6,
    'must be a percentage with at most two decimals',
  );

const pause = () => duration(0, 7 * DAY, 'a duration from 0s to 7d, such as "5m"');

/** A step of a canary: the new version gets `weight` percent of the calls for at least `pause`. */
export const rolloutStepSchema = z.strictObject({
  weight: percentSchema.describe('Percentage of the calls that the new version gets.'),
  pause: pause().default(DEFAULT_PAUSE).describe('Shortest time until the next step.'),
});

/** How a new version takes over, as a user writes it. */
export const rolloutSchema = z
  .strictObject({
    strategy: z.enum(ROLLOUT_STRATEGIES).describe('How calls move to the new version.'),
    steps: z
      .array(rolloutStepSchema)
      .min(1)
      .max(50)
      .optional()
      .describe('Steps of a `canary`, weights growing. Default: 5, 25 and 50 percent, 1m each; 100 percent follows.'),
    step: percentSchema.optional().describe('Percentage that `linear` adds with each step. Default: 10.'),
    interval: pause().optional().describe('Shortest time between two steps of `linear`. Default: 1m.'),
    bake: pause()
      .optional()
      .describe(
        'How long the new version is watched with all calls, the old one kept warm. Default: 1m, 5m for `blue-green`.',
      ),
    watch: z
      .array(z.enum(ROLLOUT_RULES))
      .max(ROLLOUT_RULES.length)
      .default([...ROLLOUT_RULES])
      .describe('What the new version is watched for. Default: everything.'),
    errorMargin: z
      .number()
      .min(0)
      .max(50)
      .default(1)
      .describe('Percentage points by which more calls may fail than at the old version.'),
    latencyFactor: z
      .number()
      .min(1)
      .max(100)
      .default(1.5)
      .describe('How many times the 95th percentile of the old version that of the new one may be.'),
    latencySlack: duration(0, DAY, 'a duration from 0s to 1d, such as "10ms"')
      .default('10ms')
      .describe('By how much it may be longer in any case.'),
    coldStartFailures: z
      .number()
      .min(0)
      .max(90)
      .default(10)
      .describe('Percentage of the starts of instances that may fail.'),
    samples: z
      .number()
      .int()
      .min(10)
      .max(1_000_000)
      .default(50)
      .describe('Fewest calls of each version before anything is decided.'),
    confidence: z
      .number()
      .min(80)
      .max(99.9999)
      .default(99.9)
      .describe('How sure it must be, in percent, that the new version is worse before it is taken back.'),
    maxWait: duration(0, 30 * DAY, 'a duration from 0s to 30d, such as "1h"')
      .default('1h')
      .describe('How long a step waits for enough calls after its pause.'),
    afterWait: z
      .enum(['hold', 'advance'])
      .default('hold')
      .describe('What happens after `maxWait`: stay until somebody decides, or go on.'),
  })
  .superRefine((rollout, context) => {
    const refuse = (path: (string | number)[], input: unknown, message: string): void =>
      context.addIssue({ code: 'custom', path, input, message });
    const { strategy, steps, step, interval } = rollout;
    if (steps && strategy !== 'canary') refuse(['steps'], steps, 'is only for the strategy "canary"');
    if (step !== undefined && strategy !== 'linear') refuse(['step'], step, 'is only for the strategy "linear"');
    if (interval !== undefined && strategy !== 'linear') {
      refuse(['interval'], interval, 'is only for the strategy "linear"');
    }
    for (const [index, { weight }] of (steps ?? []).entries()) {
      const before = steps?.[index - 1];
      if (before && weight <= before.weight) {
        refuse(['steps', index, 'weight'], weight, `must be more than that of the step before, ${before.weight}`);
      }
    }
  });

/** How a new version takes over, with defaults filled in. */
export type RolloutSpec = z.output<typeof rolloutSchema>;
/** How a new version takes over, as a user may write it. */
export type RolloutSpecInput = z.input<typeof rolloutSchema>;

/** The same as a person may write it in a file: in full, or the strategy alone. */
export const rolloutShorthandSchema = z.preprocess(
  (value) => (typeof value === 'string' ? { strategy: value } : value),
  rolloutSchema,
);

/** A step in plain units. */
export interface RolloutStep {
  /** Percentage of the calls that the new version gets. */
  readonly weight: number;
  readonly pauseMs: number;
}

/** A {@link RolloutSpec} in plain units; the last step has all calls. */
export interface RolloutPlan {
  readonly strategy: RolloutStrategy;
  readonly steps: readonly RolloutStep[];
  readonly watch: readonly RolloutRule[];
  /** Share of the calls, 0 to 1. */
  readonly errorMargin: number;
  readonly latencyFactor: number;
  readonly latencySlackMs: number;
  /** Share of the starts, 0 to 1. */
  readonly coldStartFailures: number;
  readonly samples: number;
  /** Probability, 0 to 1, of taking a version back in the whole rollout that is not worse. */
  readonly alpha: number;
  readonly maxWaitMs: number;
  readonly afterWait: RolloutSpec['afterWait'];
}

/** Turns a parsed spec into plain units and steps. */
export function resolveRollout(spec: RolloutSpec): RolloutPlan {
  const bakeMs = ms(spec.bake ?? DEFAULT_BAKE[spec.strategy]);
  const before = stepsOf(spec);
  const last = before.at(-1);
  const steps = last?.weight === WEIGHT_TOTAL ? before : [...before, { weight: WEIGHT_TOTAL, pauseMs: bakeMs }];
  return {
    strategy: spec.strategy,
    steps,
    watch: spec.watch,
    errorMargin: spec.errorMargin / 100,
    latencyFactor: spec.latencyFactor,
    latencySlackMs: ms(spec.latencySlack),
    coldStartFailures: spec.coldStartFailures / 100,
    samples: spec.samples,
    alpha: 1 - spec.confidence / 100,
    maxWaitMs: ms(spec.maxWait),
    afterWait: spec.afterWait,
  };
}

function stepsOf({
  strategy,
  steps,
  step = DEFAULT_LINEAR_STEP,
  interval = DEFAULT_PAUSE,
}: RolloutSpec): RolloutStep[] {
  if (strategy === 'canary') {
    const written = steps ?? CANARY_WEIGHTS.map((weight) => ({ weight, pause: DEFAULT_PAUSE }));
    return written.map(({ weight, pause: written }) => ({ weight, pauseMs: ms(written) }));
  }
  if (strategy !== 'linear') return [];
  const count = Math.ceil(WEIGHT_TOTAL / step) - 1;
  return Array.from({ length: count }, (_, index) => ({
    weight: Number((step * (index + 1)).toFixed(2)),
    pauseMs: ms(interval),
  }));
}

function ms(value: string | number): number {
  return parseDurationMs(value) ?? 0;
}

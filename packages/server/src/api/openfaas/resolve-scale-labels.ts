import { type FunctionSpecInput, parseGoDurationMs, writeDuration } from '@ebb/contract';

/** What the labels about scaling begin with. */
const PREFIX = 'com.openfaas.scale.';

const DEFAULT_MIN = 1;
const DEFAULT_MAX = 20;
const DEFAULT_TARGET = 50;
const DEFAULT_PROPORTION = 0.9;
const DEFAULT_ZERO_MS = 15 * 60_000;
/** Most instances a spec can ask for. */
const MOST = 1000;
/** Bounds of a target in a spec. */
const TARGETS = { least: 0.001, most: 1_000_000 } as const;
/** Bounds of a share of the target in a spec. */
const PROPORTIONS = { least: 0.05, most: 1 } as const;
/** Bounds of an idle time: below, an instance would go between two calls of one client. */
const ZERO_MS = { least: 1_000, most: 7 * 86_400_000 } as const;
const MOST_DOWN_WINDOW_MS = 5 * 60_000;

/** Where nothing says otherwise, one instance is meant to take so many calls a second: above, another starts. */
const UNLABELLED_TARGET = 5;
/** How long a rate has to be above that, about: the mean over this time is. */
const UNLABELLED_WINDOW_MS = 10_000;
/** How long a rate must have been lower before instances go, so that a rate about the limit starts and stops none. */
const UNLABELLED_DOWN_MS = 30_000;
/** Calls a second are counted over this time. */
const RPS_WINDOW_MS = 30_000;
/** A rise shows in this time already. */
const RPS_BURST_MS = 10_000;
const CPU_WINDOW_MS = 60_000;
/** The most calls at once of this time count. */
const CAPACITY_WINDOW_MS = 45_000;
/** Calls an instance handles at once, unless `max_inflight` says so: others wait, and have more instances started. */
const CONCURRENCY = 100;
const MOST_CONCURRENCY = 10_000;

const TYPES = ['rps', 'capacity', 'cpu', 'queue'] as const;
type LoadType = (typeof TYPES)[number];

type ScaleInput = NonNullable<FunctionSpecInput['scale']>;

/** What {@link resolveScaleLabels} goes by. */
export interface ScaleLabelInput {
  readonly labels: Readonly<Record<string, string>>;
  /** Limit of the CPU of one instance, in cores: a target in thousandths of a core is a share of it. */
  readonly cpuCores: number;
  /** The function's environment, of which `max_inflight` is read. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What the labels of a function come to in a spec. */
export interface ResolvedScaleLabels {
  readonly scale: ScaleInput;
  readonly concurrency: number;
  /** What could not be taken as it was written, and what holds instead; one sentence each. */
  readonly notes: readonly string[];
}

/**
 * What labels `com.openfaas.scale.*` mean for a spec's `scale` and `concurrency`. Every set of labels means something: a
 * value that cannot be read counts as absent, one out of bounds as the nearest that is in, and `notes` says so. The
 * number of instances is the load, divided by target times proportion, rounded up, between `min` and `max`.
 */
export function resolveScaleLabels({ labels, cpuCores, env = {} }: ScaleLabelInput): ResolvedScaleLabels {
  const notes: string[] = [];
  const read = createReader(labels, notes);
  const { min, max } = readBounds(read, notes);
  const zeroMs = read.flag('zero') ? (read.duration('zero-duration', ZERO_MS) ?? DEFAULT_ZERO_MS) : undefined;
  const downMs = read.duration('down.window', { least: 0, most: MOST_DOWN_WINDOW_MS });
  const load = readLoad(read, notes);
  const isFixed = min === max;
  const concurrency = concurrencyOf(env['max_inflight'], load);
  const scale: ScaleInput = {
    min: zeroMs === undefined ? min : 0,
    // Of one instance it is the same: the last goes after the idle time anyway.
    ...(zeroMs === undefined || min === 1 ? {} : { minActive: min }),
    max,
    ...(zeroMs === undefined ? {} : { idle: writeDuration(zeroMs), keepAlive: 'fixed' }),
    ...(isFixed ? {} : scaleOf(load, { cpuCores, downMs, longestMs: zeroMs ?? Number.POSITIVE_INFINITY })),
  };
  return { scale, concurrency, notes };
}

interface Range {
  readonly least: number;
  readonly most: number;
}

interface Load {
  readonly type: LoadType | 'unlabelled' | 'none';
  readonly target: number;
  readonly proportion: number;
}

function readBounds(read: Reader, notes: string[]): { readonly min: number; readonly max: number } {
  const min = read.count('min', { least: 1, most: MOST }) ?? DEFAULT_MIN;
  const max = read.count('max', { least: 1, most: MOST });
  if (max === undefined) return { min, max: Math.max(min, DEFAULT_MAX) };
  if (min > max) notes.push(`label "${PREFIX}min" is larger than "${PREFIX}max": both count as ${max}`);
  return { min: Math.min(min, max), max };
}

function readLoad(read: Reader, notes: string[]): Load {
  const text = read.text('type');
  const type = TYPES.find((one) => one === text);
  const target = read.number('target', TARGETS);
  if (text !== undefined && type === undefined) {
    notes.push(
      `label "${PREFIX}type" is ${shown(text)}, which is none of ${TYPES.join(', ')}: the function scales by calls a second`,
    );
  }
  if (type === undefined && target === undefined) {
    // Without steps no load adds any; people may still ask for more, up to `max`.
    if (read.count('factor', { least: 0, most: 100 }) === 0)
      return { type: 'none', target: TARGETS.most, proportion: 1 };
    return { type: 'unlabelled', target: UNLABELLED_TARGET, proportion: 1 };
  }
  const proportion = read.number('target-proportion', PROPORTIONS) ?? DEFAULT_PROPORTION;
  return { type: type ?? 'rps', target: target ?? DEFAULT_TARGET, proportion };
}

/** A function that says how many calls it takes at once is sent no more; others wait where they would be refused. */
function concurrencyOf(maxInFlight: string | undefined, { type, target }: Load): number {
  const said = maxInFlight !== undefined && /^\d{1,9}$/.test(maxInFlight) ? Number(maxInFlight) : 0;
  if (said > 0) return Math.min(said, MOST_CONCURRENCY);
  if (type === 'none') return MOST_CONCURRENCY;
  return type === 'capacity' ? Math.min(Math.max(CONCURRENCY, Math.ceil(target)), MOST_CONCURRENCY) : CONCURRENCY;
}

/** What follows the load. No window is longer than an idle time: what is idle shall not look busy. */
function scaleOf(
  { type, target, proportion }: Load,
  {
    cpuCores,
    downMs,
    longestMs,
  }: { readonly cpuCores: number; readonly downMs: number | undefined; readonly longestMs: number },
): Partial<ScaleInput> {
  const windows = (windowMs: number, burstMs: number) => ({
    window: writeDuration(Math.min(windowMs, longestMs)),
    burstWindow: writeDuration(Math.min(burstMs, longestMs)),
  });
  const delay = (ownMs: number) => ({ downDelay: writeDuration(ownMs + (downMs ?? 0)) });
  switch (type) {
    case 'unlabelled':
      return {
        mode: 'rps',
        target,
        ...windows(UNLABELLED_WINDOW_MS, UNLABELLED_WINDOW_MS),
        downDelay: writeDuration(downMs ?? UNLABELLED_DOWN_MS),
      };
    case 'none':
    case 'rps':
      return { mode: 'rps', target, utilization: proportion, ...windows(RPS_WINDOW_MS, RPS_BURST_MS), ...delay(0) };
    case 'capacity':
      return { mode: 'concurrency', target, utilization: proportion, ...delay(CAPACITY_WINDOW_MS) };
    case 'cpu': {
      const percent = (target * proportion) / 10 / cpuCores;
      const windowsOfCpu = windows(CPU_WINDOW_MS, RPS_BURST_MS);
      return { mode: 'cpu', target: Math.min(Math.max(percent, TARGETS.least), 100), ...windowsOfCpu, ...delay(0) };
    }
    case 'queue':
      return {
        mode: 'queue',
        target: Math.max(target * proportion, TARGETS.least),
        ...windows(RPS_WINDOW_MS, RPS_BURST_MS),
        ...delay(0),
      };
  }
}

type Reader = ReturnType<typeof createReader>;

/** Reads labels by the end of their names; what it cannot read it notes. */
function createReader(labels: Readonly<Record<string, string>>, notes: string[]) {
  const text = (name: string): string | undefined =>
    Object.hasOwn(labels, PREFIX + name) ? labels[PREFIX + name] : undefined;
  const within = (name: string, value: number, { least, most }: Range, write: (value: number) => string): number => {
    const taken = Math.min(Math.max(value, least), most);
    if (taken !== value) {
      notes.push(
        `label "${PREFIX}${name}" is ${shown(text(name) ?? '')} but must be from ${write(least)} to ${write(most)}: it counts as ${write(taken)}`,
      );
    }
    return taken;
  };
  const unread = (name: string, what: string): undefined => {
    notes.push(`label "${PREFIX}${name}" is ${shown(text(name) ?? '')}, which is no ${what}: it counts as absent`);
  };
  return {
    text,
    count(name: string, range: Range): number | undefined {
      const value = text(name);
      if (value === undefined) return undefined;
      if (!/^\d{1,15}$/.test(value)) return unread(name, 'whole number');
      return within(name, Number(value), range, String);
    },
    number(name: string, range: Range): number | undefined {
      const value = text(name);
      if (value === undefined) return undefined;
      if (!/^\d{1,15}(?:\.\d{1,15})?$/.test(value) || Number(value) === 0) return unread(name, 'number above 0');
      return within(name, Number(value), range, String);
    },
    duration(name: string, range: Range): number | undefined {
      const value = text(name);
      if (value === undefined) return undefined;
      const ms = parseGoDurationMs(value);
      if (ms === undefined) return unread(name, 'duration such as "5m"');
      return within(name, Math.round(ms), range, writeDuration);
    },
    flag(name: string): boolean {
      const value = text(name);
      if (value === undefined || /^(?:0|f|F|false|False|FALSE)$/.test(value)) return false;
      if (/^(?:1|t|T|true|True|TRUE)$/.test(value)) return true;
      unread(name, '"true" or "false"');
      return false;
    },
  };
}

function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}

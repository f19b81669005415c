/** What an alert about a function is decided from. */
export interface AlertedFunction {
  readonly labels: Readonly<Record<string, string>>;
  /** Fewest and most instances that its spec says. */
  readonly scaleMin: number;
  readonly scaleMax: number;
  /** Instances there are to be now. */
  readonly replicas: number;
}

const MIN = 'com.openfaas.scale.min';
const FACTOR = 'com.openfaas.scale.factor';
/** Percent of the most instances that are added at a time where no label says. */
const DEFAULT_FACTOR = 20;

/**
 * How many instances a function is to have after an alert: while it fires one step more at a time, of so many percent of
 * the most there may be, rounded up; when it is resolved the fewest. Undefined where it stays as it is: with a factor of 0
 * and where fewest and most are the same, nothing is scaled.
 */
export function decideAlertScale(status: 'firing' | 'resolved', alerted: AlertedFunction): number | undefined {
  const { scaleMax, replicas } = alerted;
  const min = Math.min(leastOf(alerted), scaleMax);
  const factor = factorOf(alerted.labels);
  if (min === scaleMax || factor === 0) return undefined;
  if (status === 'resolved') return min;
  const next = Math.min(scaleMax, Math.max(replicas, min) + Math.ceil((scaleMax * factor) / 100));
  return next > replicas ? next : undefined;
}

/** At least one: to none it goes only by being idle. */
function leastOf({ labels, scaleMin }: AlertedFunction): number {
  const label = wholeNumber(labels[MIN]);
  return Math.max(1, label ?? scaleMin);
}

function factorOf(labels: AlertedFunction['labels']): number {
  return Math.min(100, wholeNumber(labels[FACTOR]) ?? DEFAULT_FACTOR);
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

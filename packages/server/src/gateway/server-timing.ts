import { isColdWait, startPhases, type WaitReport } from '@ebb/contract';

/**
 * The value of a `Server-Timing` header (W3C) for a call that waited; durations in milliseconds. `queueMs` is the whole
 * wait. The parts of a start are those of the instance: they are longer than the wait of a call that came in their midst.
 */
export function serverTiming(wait: WaitReport, queueMs: number, firstByteMs?: number): string {
  const metrics = [metric('queue', queueMs)];
  if (wait.start) for (const [phase, ms] of startPhases(wait.start)) metrics.push(metric(phase, ms));
  if (wait.thawMs !== undefined) metrics.push(metric('thaw', wait.thawMs));
  if (firstByteMs !== undefined) metrics.push(metric('first-byte', firstByteMs));
  metrics.push(`${isColdWait(wait) ? 'cold' : 'wait'};desc="${wait.cause}"`);
  return metrics.join(', ');
}

function metric(name: string, ms: number): string {
  return `${name};dur=${Math.round(ms * 100) / 100}`;
}

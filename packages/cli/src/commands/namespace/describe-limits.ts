import type { NamespaceLimits } from '@ebb/contract';

/** What a namespace may use, in one line. */
export function describeLimits({ concurrency, rate, burst, reserved }: NamespaceLimits = {}): string {
  const parts = [
    ...(concurrency === undefined ? [] : [`${concurrency} at once`]),
    ...(rate === undefined ? [] : [/[a-z]$/.test(String(rate)) ? rate : `${rate}/s`]),
    ...(burst === undefined ? [] : [`bursts of ${burst}`]),
    ...(reserved === undefined ? [] : [`${reserved} % of the host reserved`]),
  ];
  return parts.length === 0 ? 'no limits' : parts.join(', ');
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
};

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 6e4, h: 3.6e6, d: 8.64e7 };

/**
 * Bytes meant by a size such as `256Mi`, `1G`, `64000` (bytes) or a number of bytes; undefined when it is none.
 * Units are those of Kubernetes quantities: k M G are powers of 1000, Ki Mi Gi powers of 1024.
 */
export function parseSizeBytes(value: string | number): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)(|k|K|M|G|Ki|Mi|Gi)$/.exec(String(value));
  const factor = match ? SIZE_UNITS[match[2] ?? ''] : undefined;
  if (!match || factor === undefined) return undefined;
  const bytes = Math.round(Number(match[1]) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/**
 * Milliseconds meant by a duration such as `250ms`, `60s`, `1m30s`, `2h` or a plain number of seconds;
 * undefined when it is none.
 */
export function parseDurationMs(value: string | number): number | undefined {
  const text = String(value);
  if (/^\d{1,9}(?:\.\d{1,6})?$/.test(text)) return Math.round(Number(text) * 1e3);
  if (!/^(?:\d{1,9}(?:\.\d{1,6})?(?:ms|s|m|h|d))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    total += Number(amount) * (DURATION_UNITS[unit ?? ''] ?? Number.NaN);
  }
  return Number.isFinite(total) ? Math.round(total) : undefined;
}

/** Cores meant by `0.5`, `2` or `250m` (thousandths of a core); undefined when it is none. */
export function parseCpuCores(value: string | number): number | undefined {
  const match = /^(\d{1,6}(?:\.\d{1,6})?)(m?)$/.exec(String(value));
  return match ? Number(match[1]) / (match[2] === 'm' ? 1000 : 1) : undefined;
}

const WRITTEN_UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

/** A size for people: `256 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(value < 10 && unit > 0 ? 1 : 0))} ${units[unit]}`;
}

/** A duration as a spec writes it, exactly: `1500ms`, `5m`, `1d`. */
export function writeDuration(ms: number): string {
  if (ms === 0) return '0s';
  const [unit, size] = WRITTEN_UNITS.find(([, each]) => ms % each === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}

/** A duration for people: `250 ms`, `1.5 s`, `5 min`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${Number((ms / 1000).toFixed(1))} s`;
  if (ms < 7_200_000) return `${Number((ms / 60_000).toFixed(1))} min`;
  return `${Number((ms / 3_600_000).toFixed(1))} h`;
}

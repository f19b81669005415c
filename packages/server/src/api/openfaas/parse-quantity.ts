const FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

/** Bytes meant by a Kubernetes quantity such as `128Mi`, `1G`, `64000` or `129e6`, rounded up; undefined when it is none. */
export function parseMemory(text: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,9})?)(?:([eE]\d{1,2})|(m|k|[MGTP]|[KMGTP]i)?)$/.exec(text.trim());
  if (!match) return undefined;
  const [, amount = '', exponent, unit = ''] = match;
  const factor = unit === 'm' ? 1e-3 : FACTORS[unit];
  if (factor === undefined) return undefined;
  const bytes = Math.ceil(exponent === undefined ? Number(amount) * factor : Number(amount + exponent));
  return Number.isFinite(bytes) ? bytes : undefined;
}

/** Cores meant by a Kubernetes quantity such as `100m`, `0.5` or `2`; undefined when it is none. */
export function parseCpu(text: string): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,9})?)(m)?$/.exec(text.trim());
  return match ? Number(match[1]) / (match[2] === undefined ? 1 : 1000) : undefined;
}

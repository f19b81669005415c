/** What is reserved of something by name. */
export interface Reserved {
  readonly name: string;
  readonly amount: number;
}

/**
 * Whether what `name` wants to reserve fits beside what others have; `left` is what it may have at most, 0 when the
 * others have all or too much.
 */
export function decideReserved(
  wanted: Reserved,
  others: Iterable<Reserved>,
  capacity: number,
): { readonly fits: boolean; readonly left: number } {
  let left = capacity;
  for (const { name, amount } of others) if (name !== wanted.name) left -= amount;
  return { fits: wanted.amount === 0 || wanted.amount <= left, left: Math.max(0, left) };
}

/**
 * Takes turns by weight: of any run of calls each gets its share, exact to less than one call for two choices. This is
 * smooth weighted round robin as nginx does it: every choice gains its weight, the richest is taken and pays the total.
 * Returns the index of the choice. `weights` are above zero.
 */
export function createWeightedTurns(weights: readonly number[]): () => number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const credits = weights.map(() => 0);
  return () => {
    let best = 0;
    for (let index = 0; index < weights.length; index += 1) {
      credits[index] = (credits[index] ?? 0) + (weights[index] ?? 0);
      if ((credits[index] ?? 0) > (credits[best] ?? 0)) best = index;
    }
    credits[best] = (credits[best] ?? 0) - total;
    return best;
  };
}

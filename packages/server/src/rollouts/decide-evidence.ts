/**
 * Evidence that one proportion is larger than another, which may be looked at as often as one likes.
 *
 * Each function returns the logarithm of an e-value: a quantity whose expectation is at most 1, whatever the moment at
 * which one stops, as long as the version is not worse. By Ville's inequality it exceeds 1/alpha at ANY look with
 * probability alpha at most; so looking twice a second costs nothing, where a test of fixed size would sooner or later
 * condemn every version. The e-value is the likelihood of what was seen, averaged over all rates with the weight of
 * Jeffreys (Krichevsky and Trofimov's estimator), divided by the largest likelihood that a version which is not worse
 * could give it. This is "universal inference" (Wasserman, Ramdas and Balakrishnan, PNAS 117, 2020, section 8 for the
 * sequential case).
 */

/** Calls, and how many of them were bad. */
export interface Tried {
  readonly bad: number;
  readonly of: number;
}

/** Evidence that more than `rate` of what is tried is bad; at most 0 as long as not even the observed share is more. */
export function evidenceAbove({ bad, of }: Tried, rate: number): number {
  if (of === 0) return 0;
  return logMixture(bad, of) - logLikelihood(bad, of, Math.min(rate, bad / of));
}

/** Evidence that the true share is below `rate`; the mirror image of {@link evidenceAbove}. */
export function evidenceBelow({ bad, of }: Tried, rate: number): number {
  return evidenceAbove({ bad: of - bad, of }, 1 - rate);
}

/** Evidence that the rate of `now` is more than `margin` above that of `before`, both of which are unknown. */
export function evidenceOfRise(now: Tried, before: Tried, margin: number): number {
  const seen = logMixture(now.bad, now.of) + logSeldom(before.bad, before.of);
  return seen - largestWithout(now, before, margin);
}

const STEPS = 40;

/**
 * The largest log likelihood of both with the rate of `now` at most `margin` above that of `before`. Where what was seen
 * lies outside of that, the largest is on its border, where it is a concave function of one rate: its slope only falls.
 */
function largestWithout(now: Tried, before: Tried, margin: number): number {
  if (now.of === 0 || before.of === 0 || now.bad / now.of <= before.bad / before.of + margin) {
    return logLikelihood(now.bad, now.of, shareOf(now)) + logLikelihood(before.bad, before.of, shareOf(before));
  }
  let [low, high] = [0, 1 - margin];
  for (let step = 0; step < STEPS; step += 1) {
    const middle = (low + high) / 2;
    if (slope(now, middle + margin) + slope(before, middle) > 0) low = middle;
    else high = middle;
  }
  const at = (rate: number): number =>
    logLikelihood(now.bad, now.of, rate + margin) + logLikelihood(before.bad, before.of, rate);
  return Math.max(at(low), at(high));
}

function shareOf({ bad, of }: Tried): number {
  return of === 0 ? 0 : bad / of;
}

/** How fast the log likelihood grows with the rate. */
function slope({ bad, of }: Tried, rate: number): number {
  return (bad === 0 ? 0 : bad / rate) - (bad === of ? 0 : (of - bad) / (1 - rate));
}

function logLikelihood(bad: number, of: number, rate: number): number {
  return times(bad, Math.log(rate)) + times(of - bad, Math.log1p(-rate));
}

/** Nothing seen of what is impossible is no surprise. */
function times(count: number, log: number): number {
  return count === 0 ? 0 : count * log;
}

/** The log likelihood of a sequence with so many bad, averaged over all rates by Jeffreys' weight Beta(1/2, 1/2). */
function logMixture(bad: number, of: number): number {
  return logGamma(bad + 0.5) + logGamma(of - bad + 0.5) - logGamma(of + 1) - Math.log(Math.PI);
}

/** The same with half of the weight on the rate 0: most functions never fail, and that should not be a surprise. */
function logSeldom(bad: number, of: number): number {
  const mixture = logMixture(bad, of);
  return bad === 0 ? Math.log((1 + Math.exp(mixture)) / 2) : mixture - Math.LN2;
}

/** Above this Stirling's series is exact to about 1e-12. */
const STIRLING_FROM = 10;

/** Logarithm of the gamma function for positive arguments: Stirling's series, shifted up where the argument is small. */
function logGamma(x: number): number {
  let [shift, value] = [0, x];
  while (value < STIRLING_FROM) {
    shift -= Math.log(value);
    value += 1;
  }
  const inverse = 1 / (value * value);
  const series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / value;
  return shift + (value - 0.5) * Math.log(value) - value + 0.5 * Math.log(2 * Math.PI) + series;
}

import { z } from 'zod';
import { duration } from './quantity-schema.ts';

/** The alias a bare function name means. Every function has it. */
export const LIVE_ALIAS = 'live';

/** Weights add up to this, in percent. */
export const WEIGHT_TOTAL = 100;
/** Shares are counted in hundredths of a percent. */
const SHARES_PER_PERCENT = 100;
/** Shares add up to this. */
export const SHARE_TOTAL = WEIGHT_TOTAL * SHARES_PER_PERCENT;

const YEAR = 31_536_000_000;

/** A version's number as text, such as a key of a map. */
export const versionNumberTextSchema = z.string().regex(/^[1-9]\d{0,8}$/, 'must be the number of a version');
/** A version's number. */
export const versionNumberSchema = z.number().int().min(1).max(999_999_999);

const weightSchema = z
  .number()
  .min(0)
  .max(WEIGHT_TOTAL)
  .refine((weight) => isWholeShare(weight), 'must be a percentage with at most two decimals');

const headerNameSchema = z.string().regex(/^[!#$%&'*+.^_`|~\w-]{1,128}$/, 'must be the name of a header or cookie');

/** What keeps one client on one side of a split. */
export const stickySchema = z.strictObject({
  by: z
    .enum(['cookie', 'header', 'client'])
    .describe('A cookie the gateway sets, a header the client sends, or the client’s address.'),
  name: headerNameSchema.optional().describe('Name of the cookie (default `ebb-side`) or of the header.'),
  maxAge: duration(1000, YEAR, 'a duration from 1s to 365d, such as "1d"')
    .default('1d')
    .describe('How long the cookie is kept.'),
});

/** Sends requests with a header or a cookie to one version, ahead of the weights. */
export const matchSchema = z
  .strictObject({
    header: headerNameSchema.optional(),
    cookie: headerNameSchema.optional(),
    value: z.string().max(1024).optional().describe('Value it must have; without it, being there is enough.'),
    version: versionNumberSchema,
  })
  .refine(
    ({ header, cookie }) => (header === undefined) !== (cookie === undefined),
    'must have exactly one of "header" and "cookie"',
  );

/** A version that gets a copy of requests; its answers are compared and dropped. */
export const shadowSchema = z.strictObject({
  version: versionNumberSchema,
  percent: weightSchema.default(WEIGHT_TOTAL).describe('Share of the requests that are copied.'),
});

/** What an alias sends its calls to, as a user writes it. */
export const aliasSpecSchema = z.strictObject({
  description: z.string().max(1024).optional(),
  versions: z
    .record(versionNumberTextSchema, weightSchema)
    .describe('Percentage of the calls by version number; adds up to 100.'),
  sticky: stickySchema.optional().describe('Keeps one client on one side of the split.'),
  match: z.array(matchSchema).max(32).default([]).describe('Routes for testers, tried in order ahead of the weights.'),
  shadow: shadowSchema.optional().describe('A version that gets copies of requests.'),
});
/** What an alias sends its calls to, with defaults filled in. */
export type AliasSpec = z.output<typeof aliasSpecSchema>;
/** What an alias sends its calls to, as a user may write it. */
export type AliasSpecInput = z.input<typeof aliasSpecSchema>;

/** A version's part of an alias, of {@link SHARE_TOTAL}. */
export interface Share {
  readonly version: number;
  readonly share: number;
}

/** Whether a name could be taken for the number of a version. */
export function looksLikeVersion(name: string): boolean {
  return /^v?\d+$/.test(name);
}

/** The parts of a split above zero, by version number; undefined when the weights do not add up. */
export function sharesOf(versions: AliasSpec['versions']): readonly Share[] | undefined {
  const shares = Object.entries(versions)
    .map(([version, weight]) => ({ version: Number(version), share: Math.round(weight * SHARES_PER_PERCENT) }))
    .filter(({ share }) => share > 0)
    .toSorted((left, right) => left.version - right.version);
  const total = shares.reduce((sum, { share }) => sum + share, 0);
  return total === SHARE_TOTAL ? shares : undefined;
}

/** Every version an alias names: by weight, be it 0, by match or as a shadow. One with weight 0 is kept to take calls. */
export function versionsOf({ versions, match, shadow }: AliasSpec): ReadonlySet<number> {
  const numbers = new Set(Object.keys(versions).map(Number));
  for (const { version } of match) numbers.add(version);
  if (shadow) numbers.add(shadow.version);
  return numbers;
}

/** Whether a version gets nothing but copies of calls: it is the shadow of an alias, and none sends it calls. */
export function isShadowOnly(specs: Iterable<AliasSpec>, version: number): boolean {
  let isShadow = false;
  for (const spec of specs) {
    // One with a weight of 0 is named, but gets no calls.
    const called = [...(sharesOf(spec.versions) ?? []), ...spec.match];
    if (called.some((one) => one.version === version)) return false;
    isShadow ||= spec.shadow?.version === version;
  }
  return isShadow;
}

function isWholeShare(weight: number): boolean {
  return Math.abs(weight * SHARES_PER_PERCENT - Math.round(weight * SHARES_PER_PERCENT)) < 1e-6;
}

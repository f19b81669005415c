import { type AliasSpec, SHARE_TOTAL, sharesOf } from '@ebb/contract';
import { cookieValue, hasHeader, headerValue } from './read-headers.ts';
import { rendezvous } from './rendezvous.ts';
import { createWeightedTurns } from './weighted-turns.ts';

/** Name of the cookie that keeps a client on its side, where the alias gives it none. */
export const SIDE_COOKIE = 'ebb-side';
/** A longer key of a client is not used. */
const MAX_KEY_CHARS = 256;
/** What may be an id of ours in a cookie. */
const ID = /^[\w-]{1,64}$/;
/** Ids drawn at most for one client; sides with a hundredth of a percent need ten thousand on average, but are as rare. */
const MAX_DRAWS = 200_000;

/** What a choice is made from. */
export interface CallFacts {
  /** Names and values alternate, as they came. */
  readonly rawHeaders: readonly string[];
  readonly remoteAddress: string;
}

/** Which version a call goes to. */
export interface Side {
  readonly version: number;
  /** Whether a rule for testers said so, ahead of the weights. */
  readonly isMatched: boolean;
  /** The id a new client is to be given, so that it comes to this side again. */
  readonly newId?: string;
}

/** What {@link createSides} is made with. */
export interface SidesOptions {
  readonly spec: AliasSpec;
  /** Text of the function: its clients are spread independently of those of others. */
  readonly salt: string;
  /** A new random text of up to 40 letters, digits and "-". */
  readonly draw: () => string;
}

/**
 * Chooses the version of each call of an alias: rules for testers first, in order, then the side a client is on, else
 * turns by weight. A new client that is to be known by a cookie gets its side by turn, so that shares are exact, and an
 * id that means this side. Undefined when the weights do not add up.
 */
export function createSides({ spec, salt, draw }: SidesOptions): ((facts: CallFacts) => Side) | undefined {
  const shares = sharesOf(spec.versions);
  if (!shares) return undefined;
  const rules = spec.match.map((rule) => ({
    ...rule,
    header: rule.header?.toLowerCase(),
    side: { version: rule.version, isMatched: true },
  }));
  const sides = shares.map(({ version }): Side => ({ version, isMatched: false }));
  const turn = createWeightedTurns(shares.map(({ share }) => share));
  const sideAt = (index: number): Side => sides[index] as Side;
  const bySide = (key: string): Side => sideAt(rendezvous(`${salt}/${key}`, shares));
  const { sticky } = spec;
  const name = sticky?.name ?? SIDE_COOKIE;
  const lowerName = name.toLowerCase();

  function unmatched(facts: CallFacts): Side {
    if (!sticky || shares?.length === 1) return sideAt(turn());
    if (sticky.by === 'client') return bySide(facts.remoteAddress);
    if (sticky.by === 'header') {
      const key = headerValue(facts.rawHeaders, lowerName);
      return isKey(key) ? bySide(key) : sideAt(turn());
    }
    const id = cookieValue(facts.rawHeaders, name);
    return id !== undefined && ID.test(id) ? bySide(id) : newClient();
  }

  function newClient(): Side {
    const side = sideAt(turn());
    const base = draw();
    for (let count = 0; count < MAX_DRAWS; count += 1) {
      const newId = count === 0 ? base : `${base}-${count.toString(36)}`;
      if (bySide(newId) === side) return { ...side, newId };
    }
    return side;
  }

  return (facts) => {
    for (const { header, cookie, value, side } of rules) {
      if (header !== undefined && hasHeader(facts.rawHeaders, header, value)) return side;
      if (cookie === undefined) continue;
      const found = cookieValue(facts.rawHeaders, cookie);
      if (found !== undefined && (value === undefined || value === found)) return side;
    }
    return unmatched(facts);
  };
}

/** Says of each call whether it is one of `percent` of them, exactly over time. */
export function createPick(percent: number): () => boolean {
  const share = Math.round((percent / 100) * SHARE_TOTAL);
  if (share === 0) return () => false;
  if (share === SHARE_TOTAL) return () => true;
  const turn = createWeightedTurns([share, SHARE_TOTAL - share]);
  return () => turn() === 0;
}

function isKey(key: string | undefined): key is string {
  return key !== undefined && key !== '' && key.length <= MAX_KEY_CHARS;
}

import { NextOf } from './decide-next.ts';

/** What one version wants of the host. */
export interface ShareClaim {
  readonly namespace: string;
  readonly name: string;
  /** Instances that its calls and its minimums need now. */
  readonly wants: number;
  /** Instances that its calls of a moment ago needed; others that want one only go before those. */
  readonly used: number;
  /** Instances it has. */
  readonly holds: number;
  /** Memory of each. */
  readonly bytes: number;
  /** Its place among those who want their first instance: smaller goes first. */
  readonly turn: number;
}

/** Instances and their memory. */
export interface HostAmount {
  readonly instances: number;
  readonly bytes: number;
}

/** What there is to share, and what of it is not for everybody. */
export interface ShareRules {
  /** What all instances together may be; infinite where there is no bound. */
  readonly capacity: HostAmount;
  readonly functions: readonly {
    readonly namespace: string;
    readonly name: string;
    readonly instances: number;
    readonly bytes: number;
  }[];
  /** The part of the capacity that is kept for a namespace, from 0 to 1. */
  readonly namespaces: ReadonlyMap<string, number>;
}

/**
 * How many instances every claim has a right to, in the order of the claims. The host is shared max-min fair: between
 * namespaces, then between the functions of each, then between their versions, one instance after the other to whoever
 * has least; of equals, those keep what they hold. What is reserved and not used is left over by everybody else. What
 * somebody has is measured by the scarcer of instances and memory. An instance that is larger than all memory runs alone.
 */
export function decideShares(claims: readonly ShareClaim[], rules: ShareRules): number[] {
  const host = createHost(claims, rules);
  while (host.grantNext());
  return host.entries.map(({ granted }) => granted);
}

interface Entry {
  readonly claim: ShareClaim;
  readonly owner: FunctionShare;
  granted: number;
  isDone: boolean;
}

interface Amounts {
  instances: number;
  bytes: number;
}

/** Somebody's part of the scarcer of instances and memory, from 0 to 1, and who of it would get the next instance. */
interface Candidate {
  part: number;
  next: Entry | undefined;
}

interface FunctionShare extends Candidate {
  readonly owner: NamespaceShare;
  readonly entries: Entry[];
  readonly has: Amounts;
  readonly reserved: Amounts;
}

interface NamespaceShare extends Candidate {
  readonly functions: NextOf<FunctionShare>;
  readonly reserved: HostAmount;
  /** What its functions have or have reserved. */
  readonly held: Amounts;
}

function createHost(claims: readonly ShareClaim[], { capacity, functions, namespaces }: ShareRules) {
  const byNamespace = new Map<string, NamespaceShare>();
  const byFunction = new Map<string, FunctionShare>();
  const namespaceOf = (name: string): NamespaceShare => {
    const known = byNamespace.get(name);
    if (known) return known;
    const share = namespaces.get(name) ?? 0;
    const reserved = { instances: Math.floor(part(capacity.instances, share)), bytes: part(capacity.bytes, share) };
    const made: NamespaceShare = {
      functions: new NextOf<FunctionShare>(comesBefore),
      reserved,
      held: none(),
      part: 0,
      next: undefined,
    };
    byNamespace.set(name, made);
    return made;
  };
  const functionOf = (namespace: string, name: string): FunctionShare => {
    const key = `${namespace}/${name}`;
    const known = byFunction.get(key);
    if (known) return known;
    const owner = namespaceOf(namespace);
    const made: FunctionShare = { owner, entries: [], has: none(), reserved: none(), part: 0, next: undefined };
    byFunction.set(key, made);
    return made;
  };

  for (const name of namespaces.keys()) namespaceOf(name);
  for (const { namespace, name, instances, bytes } of functions) {
    const { reserved, owner } = functionOf(namespace, name);
    add(reserved, instances, instances * bytes);
    add(owner.held, instances, instances * bytes);
  }
  const entries = claims.map((claim): Entry => {
    const owner = functionOf(claim.namespace, claim.name);
    const entry = { claim, owner, granted: 0, isDone: false };
    owner.entries.push(entry);
    return entry;
  });
  /** What everybody has and nobody else may have. */
  const taken = none();
  /** What was given. */
  const given = none();
  for (const one of byNamespace.values()) {
    add(taken, Math.max(one.held.instances, one.reserved.instances), Math.max(one.held.bytes, one.reserved.bytes));
  }
  const line = new NextOf<NamespaceShare>(comesBefore);
  for (const one of byFunction.values()) joinLine(one);
  for (const one of byNamespace.values()) joinHost(one);

  function joinLine(one: FunctionShare): void {
    one.next = leastOf(one.entries);
    if (one.next) one.owner.functions.add(one);
  }
  function joinHost(one: NamespaceShare): void {
    one.next = one.functions.first?.next;
    if (one.next) line.add(one);
  }

  /** Gives an instance to who is next if there is room, else nothing to that claim any more: room never grows. */
  const grantNext = (): boolean => {
    if (given.instances >= capacity.instances) return false;
    const home = line.take();
    const owner = home?.functions.take();
    const entry = owner?.next;
    if (!home || !owner || !entry) return false;
    const { claim } = entry;
    const grown = {
      instances: growth(owner, home, 'instances', 1),
      bytes: growth(owner, home, 'bytes', claim.bytes),
    };
    const isAlone = given.instances === 0 && claim.bytes > capacity.bytes;
    const isRoom =
      fits(taken.instances, grown.instances, capacity.instances) &&
      (isAlone || (fits(taken.bytes, grown.bytes, capacity.bytes) && given.bytes + claim.bytes <= capacity.bytes));
    if (!isRoom) entry.isDone = true;
    else {
      entry.granted += 1;
      add(taken, grown.instances, grown.bytes);
      home.held.instances += beyond(owner, 'instances', 1);
      home.held.bytes += beyond(owner, 'bytes', claim.bytes);
      add(owner.has, 1, claim.bytes);
      add(given, 1, claim.bytes);
      const more = Math.max(1 / capacity.instances, claim.bytes / capacity.bytes);
      home.part += more;
      owner.part += more;
    }
    joinLine(owner);
    joinHost(home);
    return true;
  };
  return { entries, grantNext };
}

/** What a function's next instance takes beyond what it has or has reserved. */
function beyond({ has, reserved }: FunctionShare, what: keyof HostAmount, more: number): number {
  return Math.max(has[what] + more, reserved[what]) - Math.max(has[what], reserved[what]);
}

/** What it takes of what everybody shares. */
function growth(owner: FunctionShare, home: NamespaceShare, what: keyof HostAmount, more: number): number {
  const held = home.held[what];
  return Math.max(held + beyond(owner, what, more), home.reserved[what]) - Math.max(held, home.reserved[what]);
}

/** What is within one's own reservation always fits. */
function fits(taken: number, grown: number, capacity: number): boolean {
  return grown === 0 || taken + grown <= capacity;
}

/** Who of two candidates has less; of equals, whose next instance goes first. */
function comesBefore(one: Candidate, other: Candidate): boolean {
  if (one.part !== other.part) return one.part < other.part;
  return one.next !== undefined && other.next !== undefined && goesBefore(one.next, other.next);
}

/** The version of a function that has least. */
function leastOf(entries: readonly Entry[]): Entry | undefined {
  let least: Entry | undefined;
  for (const entry of entries) {
    if (entry.isDone || entry.granted >= Math.max(entry.claim.wants, entry.claim.used)) continue;
    if (!least || entry.granted < least.granted || (entry.granted === least.granted && goesBefore(entry, least)))
      least = entry;
  }
  return least;
}

/** Whether one of two who have the same gets an instance before the other. */
function goesBefore(one: Entry, other: Entry): boolean {
  const isNeeded = one.granted < one.claim.wants;
  if (isNeeded !== other.granted < other.claim.wants) return isNeeded;
  return place(one) < place(other);
}

function place({ granted, claim }: Entry): number {
  if (granted === 0) return claim.turn;
  return claim.holds > granted ? Number.NEGATIVE_INFINITY : claim.turn;
}

function part(amount: number, share: number): number {
  return share === 0 || !Number.isFinite(amount) ? 0 : amount * share;
}

function none(): Amounts {
  return { instances: 0, bytes: 0 };
}

function add(to: Amounts, instances: number, bytes: number): void {
  to.instances += instances;
  to.bytes += bytes;
}

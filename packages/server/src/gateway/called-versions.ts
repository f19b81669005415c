import { versionKey, type VersionKey } from '@ebb/contract';
import { systemClock, type Clock } from '../core/clock.ts';
import type { Version } from '../core/ports.ts';
import type { RateSource } from './rate-gates.ts';
import { type Route, routeOf } from './route.ts';

/** Versions that are remembered at once. */
const MAX_KNOWN = 1_000;
/** A version that was found is taken for there so long: it may be deleted. */
const KNOWN_MS = 10_000;

/** Finds a version that no alias refers to. Rejects with VERSION_NOT_FOUND or FUNCTION_NOT_FOUND. */
export type FindVersion = (namespace: string, name: string, version: number) => Promise<Version>;

/** A version that is called by its number and that no alias refers to. */
export interface CalledVersion {
  readonly namespace: string;
  readonly name: string;
  readonly number: number;
  /** Whether a version that serves asks for credentials: then an older one is not the way around them. */
  readonly authRequired: boolean;
}

/** Remembers the routes of versions that are called by number though no alias refers to them, a bounded number of them. */
export class CalledVersions {
  readonly #find: FindVersion;
  readonly #rates: RateSource;
  readonly #clock: Clock;
  readonly #known = new Map<VersionKey, { readonly route: Route; readonly untilMs: number }>();
  readonly #asked = new Map<VersionKey, Promise<Route>>();

  constructor(find: FindVersion, rates: RateSource, clock: Clock = systemClock) {
    this.#find = find;
    this.#rates = rates;
    this.#clock = clock;
  }

  /** The route, if it is known. */
  get({ namespace, name, number }: CalledVersion): Route | undefined {
    const known = this.#known.get(versionKey(namespace, name, number));
    return known && known.untilMs > this.#clock.monotonic() ? known.route : undefined;
  }

  /** Finds the route; calls that ask together are one question. Rejects as {@link FindVersion} does. */
  find(called: CalledVersion): Promise<Route> {
    const key = versionKey(called.namespace, called.name, called.number);
    const asked = this.#asked.get(key);
    if (asked) return asked;
    const asking = this.#ask(key, called).finally(() => {
      if (this.#asked.get(key) === asking) this.#asked.delete(key);
    });
    this.#asked.set(key, asking);
    return asking;
  }

  /** Forgets what is known of a function, which has changed. */
  forget(namespace: string, name: string): void {
    if (this.#known.size === 0 && this.#asked.size === 0) return;
    const start = `${namespace}/${name}@`;
    for (const key of this.#known.keys()) if (key.startsWith(start)) this.#known.delete(key);
    for (const key of this.#asked.keys()) if (key.startsWith(start)) this.#asked.delete(key);
  }

  async #ask(key: VersionKey, { namespace, name, number, authRequired }: CalledVersion): Promise<Route> {
    const route = routeOf(await this.#find(namespace, name, number), this.#rates.of(namespace), authRequired);
    // What was asked before the function changed is good for those who asked, no longer.
    if (!this.#asked.has(key)) return route;
    this.#known.delete(key);
    this.#known.set(key, { route, untilMs: this.#clock.monotonic() + KNOWN_MS });
    const oldest = this.#known.size > MAX_KNOWN ? this.#known.keys().next().value : undefined;
    if (oldest !== undefined) this.#known.delete(oldest);
    return route;
  }
}

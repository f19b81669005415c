import { isDeepStrictEqual } from 'node:util';
import { DEFAULT_NAMESPACE, type ErrorCode, LIVE_ALIAS, versionsOf } from '@ebb/contract';
import type { FunctionRecord, FunctionRegistry, RegistryChange } from '../core/ports.ts';
import { aliasMissing } from '../registry/check-alias.ts';
import { type CalledVersion, CalledVersions, type FindVersion } from './called-versions.ts';
import { type Fork, targetOf } from './fork.ts';
import { OPEN_GATE, type RateGate, type RateSource } from './rate-gates.ts';
import { type Route, routeOf } from './route.ts';

/** A version's number as it stands in a path. */
const NUMBER = /^[1-9]\d{0,8}$/;
/** Most characters of what a caller wrote that are said back. */
const MAX_SHOWN = 100;

/** A version that has to be looked up before it can be called. */
export interface Unlisted extends CalledVersion {
  readonly kind: 'unlisted';
}

/** A name that means nothing. */
export interface Missing {
  readonly kind: 'missing';
  readonly code: Extract<ErrorCode, 'FUNCTION_NOT_FOUND' | 'ALIAS_NOT_FOUND' | 'VERSION_NOT_FOUND'>;
  readonly message: string;
}

/** What a segment means. */
export type Found = Route | Fork | Unlisted | Missing;

/** What is known of a function that has more than one version or one alias. */
interface Many {
  readonly kind: 'many';
  readonly live: Route | Fork;
  readonly aliases: ReadonlyMap<string, Route | Fork>;
  readonly versions: ReadonlyMap<number, Route>;
  readonly authRequired: boolean;
}

/** What a {@link RouteTable} is made with beside the registry. */
export interface RouteTableOptions {
  /** Asked for versions that are called by number and that no alias refers to. */
  readonly findVersion: FindVersion;
  /** The rates of namespaces. Default: none. */
  readonly rates?: RateSource;
}

/**
 * Functions by the text that names them in a path: `NAME.NAMESPACE`, and `NAME` for the default namespace, each also
 * with `:ALIAS` or `@VERSION`. A bare name is one map look-up, however many functions there are, and a function that
 * is only that costs one route; what follows a name is read when it is there. A change replaces a function's entries.
 */
export class RouteTable implements Disposable {
  readonly #routes = new Map<string, Route | Many>();
  readonly #called: CalledVersions;
  readonly #watching: Disposable;

  readonly #rates: RateSource;

  constructor(
    registry: Pick<FunctionRegistry, 'list' | 'watch'>,
    { findVersion, rates = { of: () => OPEN_GATE } }: RouteTableOptions,
  ) {
    this.#rates = rates;
    this.#called = new CalledVersions(findVersion, rates);
    this.#watching = registry.watch((change) => this.#follow(change));
    for (const record of registry.list()) this.#set(record);
  }

  /** What a path's function segment means. */
  find(segment: string): Found {
    const found = this.#routes.get(segment);
    if (found === undefined) return this.#findPart(segment);
    return found.kind === 'many' ? found.live : found;
  }

  /** Whether the segment is a function's name. */
  has(segment: string): boolean {
    return this.#routes.has(segment);
  }

  /** Looks a version up. Rejects with VERSION_NOT_FOUND or FUNCTION_NOT_FOUND. */
  lookUp(unlisted: Unlisted): Promise<Route> {
    return this.#called.find(unlisted);
  }

  [Symbol.dispose](): void {
    this.#watching[Symbol.dispose]();
  }

  /** Reads `NAME:ALIAS` and `NAME@VERSION`. */
  #findPart(segment: string): Found {
    const at = segment.search(/[:@]/);
    const name = at === -1 ? segment : segment.slice(0, at);
    const found = at === -1 ? undefined : this.#routes.get(name);
    if (!found) {
      const dot = name.lastIndexOf('.');
      const [bare, namespace] = dot === -1 ? [name, DEFAULT_NAMESPACE] : [name.slice(0, dot), name.slice(dot + 1)];
      const message = `there is no function "${shown(bare)}" in namespace "${shown(namespace)}"; "ebb list" shows what is deployed`;
      return { kind: 'missing', code: 'FUNCTION_NOT_FOUND', message };
    }
    const part = segment.slice(at + 1);
    return segment[at] === ':' ? aliasOf(found, name, part) : this.#versionOf(found, name, part);
  }

  #versionOf(found: Route | Many, name: string, text: string): Route | Unlisted | Missing {
    if (!NUMBER.test(text)) {
      const message = `function "${shown(name)}" has no version "${shown(text)}": a version is a number, such as @1`;
      return { kind: 'missing', code: 'VERSION_NOT_FOUND', message };
    }
    const number = Number(text);
    const listed = found.kind === 'many' ? found.versions.get(number) : found;
    if (listed?.version.version === number) return listed;
    const any = found.kind === 'many' ? found.versions.values().next().value : found;
    const { namespace = '', name: own = '' } = any?.version ?? {};
    const unlisted: Unlisted = {
      kind: 'unlisted',
      namespace,
      name: own,
      number,
      authRequired: found.authRequired,
    };
    return this.#called.get(unlisted) ?? unlisted;
  }

  #follow(change: RegistryChange): void {
    const { previous } = change;
    if (change.kind === 'changed') this.#set(change.record);
    else for (const name of namesOf(change.previous)) this.#routes.delete(name);
    if (previous) this.#called.forget(previous.namespace, previous.name);
  }

  #set(record: FunctionRecord): void {
    const names = namesOf(record);
    const entry = entryOf(record, this.#rates.of(record.namespace), this.#routes.get(names[0] ?? ''));
    for (const name of names) this.#routes.set(name, entry);
  }
}

function entryOf(
  { live, aliases, versions }: FunctionRecord,
  rate: RateGate,
  before: Route | Many | undefined,
): Route | Many {
  const routes = new Map(versions.map((version) => [version.version, routeOf(version, rate)]));
  const meant = aliases.find(({ name }) => name === LIVE_ALIAS)?.spec;
  const called = meant ? versionsOf({ ...meant, shadow: undefined }) : [live.version];
  const authRequired = [...called].some((version) => routes.get(version)?.authRequired === true);
  // Who names a version or an alias, or sends a tester's header, gets around no credentials of the bare name.
  const named = new Map(versions.map((version) => [version.version, routeOf(version, rate, authRequired)]));
  const targets = new Map<string, Route | Fork>();
  const old = before?.kind === 'many' && before.authRequired === authRequired ? before.aliases : undefined;
  for (const { name, spec } of aliases) {
    const last = old?.get(name);
    // Turns go on where they were when only something else of the function has changed.
    const isSame = last?.kind === 'fork' && isDeepStrictEqual(last.spec, spec);
    const target = isSame ? last : targetOf(spec, name === LIVE_ALIAS ? routes : named, named);
    if (target) targets.set(name, target);
  }
  const main = targets.get(LIVE_ALIAS) ?? routeOf(live, rate);
  if (main.kind === 'route' && targets.size === 1 && routes.size === 1) return main;
  return { kind: 'many', live: main, aliases: targets, versions: named, authRequired };
}

function aliasOf(found: Route | Many, name: string, alias: string): Route | Fork | Missing {
  const target = found.kind === 'many' ? found.aliases.get(alias) : alias === LIVE_ALIAS ? found : undefined;
  const message = aliasMissing(shown(name), shown(alias));
  return target ?? { kind: 'missing', code: 'ALIAS_NOT_FOUND', message };
}

function namesOf({ namespace, name }: FunctionRecord): string[] {
  const full = `${name}.${namespace}`;
  return namespace === DEFAULT_NAMESPACE ? [full, name] : [full];
}

function shown(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN - 3)}...` : text;
}

import { type AliasSpec, DEFAULT_NAMESPACE, LIVE_ALIAS, sharesOf } from '@ebb/contract';
import { questionPath } from '../pool/question-path.ts';
import type { FunctionRecord, FunctionRegistry, RegistryChange, Version } from '../core/ports.ts';
import { OPEN_GATE, type RateGate, type RateSource } from './rate-gates.ts';
import { createWeightedTurns } from './traffic/weighted-turns.ts';

/** What the gateway knows of a version without asking anybody. */
export interface Route {
  readonly version: Version;
  readonly authRequired: boolean;
  readonly timeoutMs: number;
  /** `NAME.NAMESPACE`, for events. */
  readonly label: string;
  /** Path by which its instances are asked whether they answer at all, if there is one. */
  readonly questionPath: string | undefined;
  /** `name@version`, for the response. */
  readonly versionLabel: string;
  /** The rate of its namespace. */
  readonly rate: RateGate;
}

/** A choice between versions. */
interface Fork {
  readonly choose: () => Route;
}

/**
 * Functions by the text that names them in a path: `NAME.NAMESPACE`, and `NAME` for the default namespace, each also
 * with `:ALIAS` or `@VERSION` of a version that serves. One map look-up finds a route, however many functions there
 * are; a change of a function replaces its entries.
 */
export class RouteTable implements Disposable {
  readonly #routes = new Map<string, Route | Fork>();
  readonly #watching: Disposable;

  readonly #rates: RateSource;

  constructor(registry: Pick<FunctionRegistry, 'list' | 'watch'>, rates: RateSource = { of: () => OPEN_GATE }) {
    this.#rates = rates;
    this.#watching = registry.watch((change) => this.#follow(change));
    for (const record of registry.list()) this.#set(record);
  }

  /** The route a path's function segment names, or undefined; where calls are split, the next one of its turns. */
  find(segment: string): Route | undefined {
    const found = this.#routes.get(segment);
    return found !== undefined && 'choose' in found ? found.choose() : found;
  }

  [Symbol.dispose](): void {
    this.#watching[Symbol.dispose]();
  }

  #follow(change: RegistryChange): void {
    const { previous } = change;
    if (previous) for (const text of segmentsOf(previous)) this.#routes.delete(text);
    if (change.kind === 'changed') this.#set(change.record);
  }

  #set(record: FunctionRecord): void {
    const rate = this.#rates.of(record.namespace);
    const routes = new Map(record.versions.map((version) => [version.version, routeOf(version, rate)]));
    for (const name of namesOf(record)) {
      for (const alias of record.aliases) {
        const target = targetOf(alias.spec, routes);
        if (!target) continue;
        this.#routes.set(`${name}:${alias.name}`, target);
        if (alias.name === LIVE_ALIAS) this.#routes.set(name, target);
      }
      for (const [number, route] of routes) this.#routes.set(`${name}@${number}`, route);
    }
  }
}

function routeOf(version: Version, rate: RateGate): Route {
  return {
    version,
    authRequired: version.spec.auth === 'required',
    timeoutMs: version.limits.timeoutMs,
    label: `${version.name}.${version.namespace}`,
    questionPath: questionPath(version.spec),
    versionLabel: `${version.name}@${version.version}`,
    rate,
  };
}

function targetOf({ versions }: AliasSpec, routes: ReadonlyMap<number, Route>): Route | Fork | undefined {
  const choices = (sharesOf(versions) ?? []).flatMap(({ version, share }) => {
    const route = routes.get(version);
    return route ? [{ route, share }] : [];
  });
  const [first] = choices;
  if (!first || choices.length === 1) return first?.route;
  const next = createWeightedTurns(choices.map(({ share }) => share));
  return { choose: () => choices[next()]?.route ?? first.route };
}

/** Everything a function is found by. */
function segmentsOf(record: FunctionRecord): string[] {
  return namesOf(record).flatMap((name) => [
    name,
    ...record.aliases.map((alias) => `${name}:${alias.name}`),
    ...record.versions.map(({ version }) => `${name}@${version}`),
  ]);
}

function namesOf({ namespace, name }: FunctionRecord): string[] {
  const full = `${name}.${namespace}`;
  return namespace === DEFAULT_NAMESPACE ? [full, name] : [full];
}

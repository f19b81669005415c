import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { questionPath } from '../pool/question-path.ts';
import type { FunctionRegistry, RegistryChange, Version } from '../core/ports.ts';

/** What the gateway knows of a function without asking anybody. Swapped as a whole when a version goes live. */
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
}

/**
 * Functions by the text that names them in a path: `NAME.NAMESPACE`, and `NAME` for the default namespace. One map
 * look-up finds a route, however many functions there are; a deploy replaces one entry.
 */
export class RouteTable implements Disposable {
  readonly #routes = new Map<string, Route>();
  readonly #watching: Disposable;

  constructor(registry: Pick<FunctionRegistry, 'list' | 'watch'>) {
    this.#watching = registry.watch((change) => this.#follow(change));
    for (const { live } of registry.list()) this.#set(live);
  }

  /** The route a path's function segment names, or undefined. */
  find(segment: string): Route | undefined {
    return this.#routes.get(segment);
  }

  [Symbol.dispose](): void {
    this.#watching[Symbol.dispose]();
  }

  #follow(change: RegistryChange): void {
    if (change.kind === 'live') this.#set(change.live);
    else for (const text of names(change.previous)) this.#routes.delete(text);
  }

  #set(version: Version): void {
    const route: Route = {
      version,
      authRequired: version.spec.auth === 'required',
      timeoutMs: version.limits.timeoutMs,
      label: `${version.name}.${version.namespace}`,
      questionPath: questionPath(version.spec),
      versionLabel: `${version.name}@${version.version}`,
    };
    for (const text of names(version)) this.#routes.set(text, route);
  }
}

function names({ namespace, name }: Version): string[] {
  const full = `${name}.${namespace}`;
  return namespace === DEFAULT_NAMESPACE ? [full, name] : [full];
}

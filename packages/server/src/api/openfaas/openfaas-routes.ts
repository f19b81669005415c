import { type AlertRouteOptions, alertRoutes } from './alert-routes.ts';
import { type FunctionRoutesOptions, functionRoutes } from './function-routes.ts';
import { type InfoRoutesOptions, infoRoutes } from './info-routes.ts';
import { type LogRouteOptions, logRoutes } from './log-routes.ts';
import { type NamespaceRoutesOptions, namespaceRoutes } from './namespace-routes.ts';
import type { OpenFaasRoute } from './openfaas-route.ts';
import { type SecretRoutesOptions, secretRoutes } from './secret-routes.ts';
import { storeRoutes } from './store-routes.ts';

/** What the routes of the compatible surface speak to. */
export type OpenFaasRoutesOptions = Omit<
  FunctionRoutesOptions &
    SecretRoutesOptions &
    NamespaceRoutesOptions &
    InfoRoutesOptions &
    AlertRouteOptions &
    LogRouteOptions,
  'bodyMaxBytes'
> & {
  /** Where the files of the stores are; without it none is served. */
  readonly storeFiles?: string | undefined;
  /** Largest JSON body. Default: 8 MiB, room for the largest secret written twice. */
  readonly bodyMaxBytes?: number;
};

/** Every route of the compatible surface; what is not in this list is not served. */
export function openFaasRoutes(options: OpenFaasRoutesOptions): readonly OpenFaasRoute[] {
  const { bodyMaxBytes = 8 * 2 ** 20 } = options;
  const all = { ...options, bodyMaxBytes };
  return [
    ...functionRoutes(all),
    ...secretRoutes(all),
    ...namespaceRoutes(all),
    ...infoRoutes(all),
    ...logRoutes(all),
    ...alertRoutes(all),
    ...storeRoutes({ place: options.storeFiles }),
  ];
}

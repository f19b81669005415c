import type { LogLine } from '@ebb/contract';
import type { Clock } from '../../core/clock.ts';
import { EbbError } from '../../core/errors.ts';
import type { FunctionRegistry, LogBook } from '../../core/ports.ts';
import { answeringWith, type OpenFaasRoute } from './openfaas-route.ts';
import { parseLogQuery } from './parse-log-query.ts';

/** What the log is read from. */
export interface LogRouteOptions {
  readonly registry: Pick<FunctionRegistry, 'resolve'>;
  readonly logs: Pick<LogBook, 'read'>;
  readonly clock: Pick<Clock, 'now'>;
}

/** `GET /system/logs`: what instances of a function wrote, a line of JSON each, also of those that have ended. */
export function logRoutes({ registry, logs, clock }: LogRouteOptions): readonly OpenFaasRoute[] {
  return [
    {
      method: 'GET',
      path: '/system/logs',
      scope: 'functions:read',
      async run({ query, signal }) {
        const wanted = await answeringWith({ INVALID_REQUEST: 422 }, () => parseLogQuery(query, clock.now()));
        const { namespace, name, selection } = wanted;
        if (!registry.resolve(namespace, name)) {
          throw new EbbError('FUNCTION_NOT_FOUND', `there is no function "${name}" in namespace "${namespace}"`);
        }
        return {
          status: 200,
          lines: shown(logs.read({ namespace, name }, selection, signal)),
        };
      },
    },
  ];
}

async function* shown(lines: AsyncIterable<LogLine>): AsyncGenerator<unknown, void, undefined> {
  for await (const { at, namespace, function: name, instance, text } of lines) {
    yield { name, namespace, instance, timestamp: at, text };
  }
}

import { EbbError } from '../core/errors.ts';
import type { Captures } from '../core/ports.ts';
import type { Queue } from '../store/queue.ts';

/** What lets somebody in somewhere; it does not leave the server. */
const CREDENTIALS =
  /^(?:authorization|proxy-authorization|cookie|x-api-key|api-key|x-auth-token|x-csrf-token|x-ebb-authorization|.*(?:secret|password|token|signature).*)$/i;

/** Makes what tells how calls were sent. */
export function createCaptures({ queue }: { readonly queue: Pick<Queue, 'get'> }): Captures {
  return {
    async request(id, namespace) {
      const record = await queue.get(id);
      if (!record || (namespace !== undefined && record.namespace !== namespace)) {
        throw new EbbError(
          'INVOCATION_NOT_FOUND',
          `there is no asynchronous call "${id.slice(0, 80)}", or it was forgotten`,
        );
      }
      const headers: [string, string][] = [];
      const leftOut: string[] = [];
      for (let index = 0; index + 1 < record.headers.length; index += 2) {
        const [name = '', value = ''] = [record.headers[index], record.headers[index + 1]];
        if (CREDENTIALS.test(name)) leftOut.push(name);
        else headers.push([name, value]);
      }
      return { method: record.method, path: record.path, headers, leftOut };
    },
  };
}

import type { Version } from '../core/ports.ts';
import type { FindVersion } from '../gateway/called-versions.ts';
import { EbbError } from '../core/errors.ts';
import { type FromGateway, received, type SentError } from './messages.ts';

/** Finds versions by asking the first process. */
export interface RemoteVersions {
  readonly find: FindVersion;
  /** Takes the answer to a question. */
  answered(id: number, version?: Version, error?: SentError): void;
}

/** Makes it; every question is answered as long as the first process lives. */
export function createRemoteVersions(send: (message: FromGateway) => void): RemoteVersions {
  const asked = new Map<number, PromiseWithResolvers<Version>>();
  let lastId = 0;
  return {
    find(namespace, name, version) {
      lastId += 1;
      const question = Promise.withResolvers<Version>();
      asked.set(lastId, question);
      send({ kind: 'find', id: lastId, namespace, name, version });
      return question.promise;
    },
    answered(id, version, error) {
      const question = asked.get(id);
      asked.delete(id);
      if (version) question?.resolve(version);
      else question?.reject(error ? received(error) : new EbbError('INTERNAL', 'the version was not told'));
    },
  };
}

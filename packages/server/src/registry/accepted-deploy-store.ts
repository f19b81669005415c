import { digestSchema, functionSpecSchema, nameSchema } from '@ebb/contract';
import { z } from 'zod';
import type { AcceptedDeploy } from '../core/ports.ts';
import type { KeyValue } from '../store/key-value.ts';
import { ACCEPTED_DEPLOYS, acceptedDeployKey } from './store-keys.ts';

const recordSchema = z.object({
  namespace: nameSchema,
  name: nameSchema,
  spec: functionSpecSchema,
  code: digestSchema.optional(),
  acceptedAt: z.number(),
});

/** Accepted deploys on disk. Everything throws STORE_FAILED. */
export interface AcceptedDeployStore {
  /** Puts one on disk, in place of the one of its function. */
  save(deploy: AcceptedDeploy): Promise<void>;
  forget(namespace: string, name: string): Promise<void>;
  /** All of them. What cannot be read is told and left out: it must not keep a server down. */
  list(onUnreadable: (key: string, error: unknown) => void): Promise<readonly AcceptedDeploy[]>;
}

/** Keeps accepted deploys in a store. */
export function createAcceptedDeployStore(store: KeyValue): AcceptedDeployStore {
  return {
    async save({ input, acceptedAt }) {
      const key = acceptedDeployKey(input.namespace, input.name);
      await store.commit([{ kind: 'set', key, value: JSON.stringify({ ...input, acceptedAt }) }]);
    },
    async forget(namespace, name) {
      await store.commit([{ kind: 'delete', key: acceptedDeployKey(namespace, name) }]);
    },
    async list(onUnreadable) {
      return (await store.list(ACCEPTED_DEPLOYS)).flatMap(({ key, value }): AcceptedDeploy[] => {
        try {
          const { acceptedAt, code, ...rest } = recordSchema.parse(JSON.parse(value));
          return [{ input: { ...rest, ...(code === undefined ? {} : { code }) }, acceptedAt }];
        } catch (error) {
          onUnreadable(key, error);
          return [];
        }
      });
    },
  };
}

import { EbbError } from '../core/errors.ts';
import type { Payload } from '../store/queue.ts';
import type { PayloadFiles } from './payload-files.ts';

/** Keeps the file of a body from being cleared away for a while, where it is in one. Throws STORE_FAILED when it is gone. */
export async function requireFile(files: Pick<PayloadFiles, 'renew'>, id: string, payload: Payload): Promise<void> {
  if (payload.kind !== 'file' || (await files.renew(payload.digest))) return;
  throw new EbbError('STORE_FAILED', `the file with the body of ${id} is gone from the data directory`);
}

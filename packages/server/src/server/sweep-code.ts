import type { CodeStore } from '../core/ports.ts';
import type { InstancePools } from '../pool/instance-pools.ts';
import type { StoredFunctionRegistry } from '../registry/function-registry.ts';

/** Uploaded code that no version refers to is kept this long: its deploy may still come. */
const UNUSED_CODE_MS = 3_600_000;
const SWEEP_EVERY_MS = 600_000;

/** What {@link startCodeSweep} looks at. */
export interface CodeSweepOptions {
  readonly registry: Pick<StoredFunctionRegistry, 'collect' | 'codeInUse'>;
  readonly pools: Pick<InstancePools, 'all'>;
  readonly code: Pick<CodeStore, 'sweep'>;
}

/** Removes old versions and code that nothing needs, now and every ten minutes, until it is disposed. */
export function startCodeSweep({ registry, pools, code }: CodeSweepOptions): Disposable {
  const sweep = async () => {
    await registry.collect();
    const inUse = new Set(await registry.codeInUse());
    // What was removed while it still served may go on for as long as its last request.
    for (const { version } of pools.all()) if (version.code !== undefined) inUse.add(version.code);
    await code.sweep(inUse, UNUSED_CODE_MS);
  };
  // What failed is swept the next time.
  const timer = setInterval(() => void sweep().catch(() => {}), SWEEP_EVERY_MS).unref();
  void sweep().catch(() => {});
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

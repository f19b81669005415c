import type { InstanceSpec, SpareSpec } from '../engines/engine.ts';

/** What of an instance is settled when it is made; a spare serves the specs of its own shape only. */
export type SpareShape = Pick<SpareSpec, 'runtime' | 'network' | 'readOnlyRootFilesystem'> & {
  /** Exactly the function's: V8 lays its heap out for it when the process starts. */
  readonly memoryBytes: number;
  /** Size of `/tmp`, which cannot be changed without losing what is in it. */
  readonly tmpBytes: number;
};

/** Variables that Node, V8, libuv, OpenSSL, ICU and the C library read when a process starts and never again. */
const READ_AT_START = /^(?:NODE_(?!ENV$).*|UV_.*|LD_.*|MALLOC_.*|GLIBC_.*|OPENSSL_.*|SSL_CERT_.*|LANG|LANGUAGE|LC_.*)$/;

/** The shape of spares that can become an instance of `spec`, or undefined when none can. */
export function decideSpareShape(spec: InstanceSpec): SpareShape | undefined {
  if (spec.source.kind !== 'code' || spec.user !== 'tenant') return undefined;
  if (Object.keys(spec.env).some((name) => READ_AT_START.test(name))) return undefined;
  return {
    runtime: spec.source.runtime,
    network: spec.network,
    readOnlyRootFilesystem: spec.readOnlyRootFilesystem,
    memoryBytes: spec.limits.memoryBytes,
    tmpBytes: spec.limits.tmpBytes,
  };
}

/** A text that is the same for equal shapes only. */
export function shapeKey(shape: SpareShape): string {
  const { runtime, network, readOnlyRootFilesystem, memoryBytes, tmpBytes } = shape;
  return `${runtime}/${network}/${readOnlyRootFilesystem ? 'ro' : 'rw'}/${memoryBytes}/${tmpBytes}`;
}

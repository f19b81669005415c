export * from './api-error.ts';
export * from './client.ts';
export * from './invocations.ts';
export * from './invoke.ts';
export type { Fetch, RequestBody } from './transport.ts';

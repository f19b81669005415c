export * from './api-error.ts';
export * from './client.ts';
export * from './invocations.ts';
export * from './invoke.ts';
export * from './jobs.ts';
export type { Fetch, RequestBody } from './transport.ts';

export * from './describe-issue.ts';
export * from './errors.ts';
export * from './function-spec.ts';
export * from './headers.ts';
export * from './manifest.ts';
export * from './names.ts';
export * from './quantity.ts';
export * from './resources.ts';

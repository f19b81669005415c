export { functionDeploymentSchema } from './api/openfaas/function-deployment.ts';
export { resolveRetryAnnotations } from './api/openfaas/resolve-retry-annotations.ts';
export { toFunctionSpec } from './api/openfaas/to-function-spec.ts';
export { parseTrace } from './autoscaler/simulate/parse-trace.ts';
export { simulateTrace } from './autoscaler/simulate/simulate-trace.ts';
export { SETTINGS } from './config/config-schema.ts';
export { flagName, type Setting, variableName } from './config/setting.ts';
export type { RunningServer, StartOptions } from './server/running-server.ts';
export { startServer } from './server/start-server.ts';

export { SETTINGS } from './config/config-schema.ts';
export { flagName, type Setting, variableName } from './config/setting.ts';
export { type RunningServer, type StartOptions, startServer } from './server/start-server.ts';

import { expect, test } from 'vitest';
import { readSettings } from './settings.ts';

test('the level of the log is the default of who starts the server, until a setting says one', () => {
  const env: Record<string, string> = {};
  const settings = readSettings({ version: '1', env, defaultLogLevel: 'warn' });
  expect(settings.config.logLevel).toBe('warn');
  env['EBB_LOG_LEVEL'] = 'debug';
  expect(settings.readAgain().logLevel).toBe('debug');
  expect(settings.config.logLevel).toBe('warn');
  env['EBB_LOG_LEVEL'] = 'loud';
  expect(() => settings.readAgain()).toThrow('EBB_LOG_LEVEL');
});

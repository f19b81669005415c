import { expect, test } from 'vitest';
import { loadConfig } from '../config/load-config.ts';
import { decideReload } from './decide-reload.ts';

const { config } = loadConfig({ env: {}, cwd: '/nowhere' });

test('takes what can change at run time, keeps the rest as it was and names both', () => {
  const read = {
    ...config,
    maxInstances: 7,
    logLevel: 'debug' as const,
    gateways: 3,
    listen: { host: '::1', port: 1 },
  };
  const { next, now, later } = decideReload(config, read);
  expect(now.toSorted()).toEqual(['logLevel', 'maxInstances']);
  expect(later.toSorted()).toEqual(['gateways', 'listen']);
  expect(next).toEqual({ ...config, maxInstances: 7, logLevel: 'debug' });
});

test('takes back a setting that is not there any more', () => {
  const bounded = { ...config, memoryBudgetBytes: 2 ** 30 };
  expect(decideReload(bounded, config).next.memoryBudgetBytes).toBeUndefined();
});

test('finds nothing to do where nothing changed', () => {
  expect(decideReload(config, { ...config })).toEqual({ next: config, now: [], later: [] });
});

import { defineConfig } from 'vitest/config';

/** Files that start servers, containers or programs of the host: one at a time, so that they do not starve each other. */
const HEAVY = [
  'testing/e2e/**/*.test.ts',
  'testing/services/**/*.test.ts',
  'packages/server/src/engines/docker/**/*.test.ts',
  'packages/server/src/store/nats/nats-*.test.ts',
];

export default defineConfig({
  test: {
    allowOnly: false,
    slowTestThreshold: 5_000,
    projects: [
      {
        test: {
          name: 'fast',
          include: ['{packages,runtimes,scripts,testing,examples,bench}/**/*.test.ts'],
          exclude: ['**/node_modules/**', ...HEAVY],
          pool: 'forks',
          testTimeout: 30_000,
          hookTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'real',
          include: HEAVY,
          exclude: ['**/node_modules/**'],
          pool: 'forks',
          maxWorkers: 1,
          fileParallelism: false,
          globalSetup: ['testing/global-setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});

import { expect, test } from 'vitest';
import { findStale } from './performance-page.ts';
import { readResults } from './result-files.ts';

test('pages and pictures say what the newest run in bench/results measured', () => {
  expect(findStale(readResults())).toEqual([]);
});

import { expect, test } from 'vitest';
import { ERRORS, type ErrorDefinition } from './errors.ts';

const CATALOG: readonly (readonly [code: string, definition: ErrorDefinition])[] = Object.entries(ERRORS);

test('whatever was not found says what shows or makes it', () => {
  const notFound = CATALOG.filter(([code, { status }]) => status === 404 || code === 'IMAGE_NOT_FOUND');
  const silent = notFound.filter(([, { description }]) => !/`(?:ebb |docker |\/v1\/)/.test(description));
  expect(silent.map(([code]) => code)).toEqual([]);
});

test('a job without a task to run again says how all of them are', () => {
  expect(ERRORS.NOTHING_TO_RERUN.description).toContain('`ebb job rerun ID`');
});

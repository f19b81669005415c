import { expect, test } from 'vitest';
import { createTreeNames } from './tree-names.ts';

const added = (...newFolders: string[]) => ({ kind: 'added', newFolders });
const refused = (reason: RegExp) => ({ kind: 'refused', reason: expect.stringMatching(reason) as string });

test('folders are told once, before what is in them, whether an entry of their own comes first or later', () => {
  const names = createTreeNames();
  expect(names.add(['a', 'b', 'c.js'], 'file')).toEqual(added('a', 'a/b'));
  expect(names.add(['a'], 'folder')).toEqual(added());
  expect(names.add(['a', 'd'], 'folder')).toEqual(added('a/d'));
  expect(names.add([], 'folder')).toEqual(added());
  expect(names.emptyFolders()).toEqual(['a/d']);
});

test('one name is one thing', () => {
  const names = createTreeNames();
  names.add(['a', 'b'], 'file');
  expect(names.add(['a', 'b'], 'file')).toEqual(refused(/twice/));
  expect(names.add(['a', 'b', 'c'], 'file')).toEqual(refused(/both a file and a folder/));
  expect(names.add(['a'], 'file')).toEqual(refused(/both a file and a folder/));
});

test.each([
  ['A', 'a'],
  ['É', 'é'],
  ['e\u0301', '\u00e9'],
  ['E\u0301', '\u00e9'],
  ['K', '\u212a'],
])('%j and %j are not told apart everywhere, so the second is refused', (one, two) => {
  const files = createTreeNames();
  files.add([one], 'file');
  expect(files.add([two], 'file')).toEqual(refused(/case or Unicode/));
  const folders = createTreeNames();
  folders.add([one, 'x'], 'file');
  expect(folders.add([two, 'y'], 'file')).toEqual(refused(/case or Unicode/));
});

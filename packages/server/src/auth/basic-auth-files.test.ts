import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readBasicAuthFiles } from './basic-auth-files.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ebb-basic-auth-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const write = (user: string, password: string) => {
  writeFileSync(join(directory, 'basic-auth-user'), user);
  writeFileSync(join(directory, 'basic-auth-password'), password);
};

test('user and password are read without the space around them', () => {
  write('operator\n', ' a password \n');
  expect(readBasicAuthFiles(directory)).toEqual({ user: 'operator', password: 'a password' });
});

test.each([
  ['an empty password', 'admin', '\n', /basic-auth-password is empty/],
  ['an empty user', '', 'secret', /basic-auth-user is empty/],
  ['a user with a colon', 'a:b', 'secret', /holds a ":"/],
])('%s is refused at the start', (_what, user, password, message) => {
  write(user, password);
  expect(() => readBasicAuthFiles(directory)).toThrow(message);
});

test('a file that is missing is named', () => {
  expect(() => readBasicAuthFiles(directory)).toThrow(`"secretMountPath" needs the file ${directory}/basic-auth-user`);
});

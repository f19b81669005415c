import { expect, test } from 'vitest';
import { parseBuildConfig } from './parse-build-config.ts';
import { registryOf } from './registry-logins.ts';

test('reads what clients say, and leaves out what it does not know', () => {
  const text = JSON.stringify({
    image: 'registry.example:5000/team/fn:latest',
    buildArgs: { GO111MODULE: 'on' },
    platforms: ['linux/amd64'],
    skipPush: true,
    later: 1,
  });
  expect(parseBuildConfig(text)).toEqual({
    image: 'registry.example:5000/team/fn:latest',
    buildArgs: { GO111MODULE: 'on' },
    platform: 'linux/amd64',
    skipPush: true,
  });
  expect(parseBuildConfig('{"image":"fn","buildArgs":null}')).toEqual({
    image: 'fn',
    buildArgs: {},
    platform: undefined,
    skipPush: false,
  });
});

test.each([
  ['', 'is not JSON'],
  ['[]', '""'],
  ['{}', '"image"'],
  ['{"image":"Upper/Case"}', '"image" must be a name'],
  ['{"image":"a/b:tag?x=1"}', '"image" must be a name'],
  ['{"image":"../b"}', '"image" must be a name'],
  ['{"image":"a b"}', '"image" must be a name'],
  ['{"image":"ebb/runtime-node:1"}', 'images of the platform'],
  ['{"image":"docker.io/ebb/runtime-node:1"}', 'images of the platform'],
  ['{"image":"a","buildArgs":{"A B":"1"}}', '"buildArgs.A B"'],
  ['{"image":"a","buildArgs":{"A":1}}', '"buildArgs.A"'],
  ['{"image":"a","platforms":["linux"]}', '"platforms.0"'],
  ['{"image":"a","platforms":["linux/amd64","linux/arm64"]}', 'names several'],
])('%s is refused: %s', (text, part) => {
  expect(() => parseBuildConfig(text)).toThrow(part);
});

test('the registry of an image is told as Docker tells it', () => {
  expect(['a', 'a/b', 'docker.io/a/b', 'localhost/a', 'r.example/a', '127.0.0.1:5000/a:1'].map(registryOf)).toEqual([
    'docker.io',
    'docker.io',
    'docker.io',
    'localhost',
    'r.example',
    '127.0.0.1:5000',
  ]);
});

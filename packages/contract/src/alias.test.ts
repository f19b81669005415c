import { expect, test } from 'vitest';
import { type AliasSpecInput, aliasSpecSchema, isShadowOnly } from './alias.ts';

const shadow = { version: 2 };

test.each<[string, readonly AliasSpecInput[], boolean]>([
  ['the shadow of an alias', [{ versions: { 1: 100 }, shadow }], true],
  ['the shadow of one that names it with a weight of 0', [{ versions: { 1: 100, 2: 0 }, shadow }], true],
  ['a shadow that also gets a part of the calls', [{ versions: { 1: 90, 2: 10 }, shadow }], false],
  [
    'a shadow that testers are sent to',
    [{ versions: { 1: 100 }, match: [{ header: 'x', version: 2 }], shadow }],
    false,
  ],
  ['a shadow that another alias sends calls to', [{ versions: { 1: 100 }, shadow }, { versions: { 2: 100 } }], false],
  ['none at all', [{ versions: { 1: 100 } }], false],
])('whether a version gets nothing but copies: %s', (_what, specs, expected) => {
  expect(
    isShadowOnly(
      specs.map((spec) => aliasSpecSchema.parse(spec)),
      2,
    ),
  ).toBe(expected);
});

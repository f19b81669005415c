import { expect, test } from 'vitest';
import { hashSecret, verifySecret } from './secret-hash.ts';

test('only the secret itself matches, and equal secrets have different hashes', async () => {
  const [one, two] = await Promise.all([hashSecret('pässword'), hashSecret('pässword')]);
  expect(one).not.toBe(two);
  expect(one).not.toContain('pässword');
  expect(await verifySecret('pässword', one)).toBe(true);
  expect(await verifySecret('pässword'.normalize('NFD'), one)).toBe(true);
  expect(await verifySecret('password', one)).toBe(false);
  expect(await verifySecret('', one)).toBe(false);
});

test('hashing leaves the event loop free', async () => {
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 1);
  await hashSecret('secret');
  clearInterval(timer);
  expect(turns).toBeGreaterThan(0);
});

test('text that is no hash is a defect, not a mismatch', async () => {
  await expect(verifySecret('secret', 'secret')).rejects.toThrow(TypeError);
});

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Absolute path of a directory that comes with `ebb`: inside the published package, or at the top of the clone.
 * Undefined when there is none.
 */
export function bundledDirectory(name: 'templates' | 'examples'): string | undefined {
  const places = [new URL(`../../${name}`, import.meta.url), new URL(`../../../../${name}`, import.meta.url)];
  return places.map((place) => fileURLToPath(place)).find((place) => existsSync(place));
}

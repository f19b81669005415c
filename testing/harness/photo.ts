import { createRequire } from 'node:module';
import path from 'node:path';
import { ROOT } from './server.ts';

/** What tests use of sharp. */
interface SharpImage {
  metadata(): Promise<{ width: number; height: number; format: string }>;
  resize(width: number, height: number, options: { fit: 'fill' }): SharpImage;
  removeAlpha(): SharpImage;
  raw(): SharpImage;
  toBuffer(): Promise<Buffer>;
}

/** Reads a picture with the sharp of the thumbnail example, so that what the function made is really decoded. */
export function decode(picture: Buffer): SharpImage {
  const require = createRequire(path.join(ROOT, 'examples/thumbnail/package.json'));
  const sharp = require('sharp') as (picture: Buffer) => SharpImage;
  return sharp(picture);
}

/** Mean difference of two pictures' colours, from 0 (equal) to 255, compared at the same small size. */
export async function difference(left: Buffer, right: Buffer): Promise<number> {
  const [a, b] = await Promise.all(
    [left, right].map((picture) => decode(picture).resize(64, 64, { fit: 'fill' }).removeAlpha().raw().toBuffer()),
  );
  if (!a || !b || a.length !== b.length) return 255;
  return a.reduce((sum, value, index) => sum + Math.abs(value - (b[index] ?? 0)), 0) / a.length;
}

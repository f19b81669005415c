/** Formats a thumbnail can have. */
export const FORMATS = ['webp', 'avif', 'jpeg', 'png'] as const;
/** How an image meets a size that has other proportions. */
export const FITS = ['inside', 'cover', 'contain', 'fill', 'outside'] as const;

const MAX_SIDE = 4096;
const DEFAULT_WIDTH = 320;

/** What a thumbnail shall be like. */
export interface ThumbnailOptions {
  readonly width: number | undefined;
  readonly height: number | undefined;
  readonly fit: (typeof FITS)[number];
  readonly format: (typeof FORMATS)[number];
  /** 1 to 100; not used for PNG. */
  readonly quality: number;
}

/**
 * Reads the options of a request: `/320x240.webp`, `/320x.png`, `/x240.avif`, or the query parameters `width`, `height`,
 * `fit`, `format` and `quality`, which win. Returns one sentence for the caller when something is not allowed.
 */
export function parseOptions(url: URL): ThumbnailOptions | string {
  const path = /^\/(?:(\d*)x(\d*)\.(\w+))?$/.exec(url.pathname);
  if (!path) return `the path "${url.pathname}" is not "/" or like "/320x240.webp"`;
  const query = url.searchParams;
  const unknown = [...query.keys()].find((key) => !['width', 'height', 'fit', 'format', 'quality'].includes(key));
  if (unknown !== undefined) return `"${unknown}" is no option; there are width, height, fit, format and quality`;

  const format = oneOf('format', query.get('format') ?? path[3] ?? 'webp', FORMATS, { jpg: 'jpeg' });
  const fit = oneOf('fit', query.get('fit') ?? 'inside', FITS);
  const width = whole('width', query.get('width') ?? path[1], MAX_SIDE);
  const height = whole('height', query.get('height') ?? path[2], MAX_SIDE);
  const quality = whole('quality', query.get('quality') ?? '75', 100);
  for (const value of [format, fit, width, height, quality]) {
    if (typeof value === 'object') return value.problem;
  }
  const hasSize = width !== undefined || height !== undefined;
  return {
    format: format as ThumbnailOptions['format'],
    fit: fit as ThumbnailOptions['fit'],
    width: hasSize ? (width as number | undefined) : DEFAULT_WIDTH,
    height: height as number | undefined,
    quality: quality as number,
  };
}

function oneOf<T extends string>(
  name: string,
  text: string,
  allowed: readonly T[],
  synonyms: Readonly<Record<string, T>> = {},
): T | { problem: string } {
  const value = synonyms[text] ?? allowed.find((candidate) => candidate === text);
  return value ?? { problem: `${name} is "${text}" but must be one of ${allowed.join(', ')}` };
}

function whole(name: string, text: string | undefined, max: number): number | undefined | { problem: string } {
  if (text === undefined || text === '') return undefined;
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= max
    ? value
    : { problem: `${name} is "${text}" but must be a whole number from 1 to ${max}` };
}

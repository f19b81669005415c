import { pipeline, Readable, Transform } from 'node:stream';
import sharp, { type Sharp } from 'sharp';
import { parseOptions, type ThumbnailOptions } from './options.ts';

const MAX_INPUT_BYTES = 25 * 2 ** 20;
const MAX_INPUT_PIXELS = 50_000_000;

/** A refusal that the caller can mend. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

// An instance has one core by default, and memory is better spent on the image at hand than on a cache.
sharp.concurrency(1);
sharp.cache(false);

/** Shrinks the image in the request's body; the options are in the path or the query, see README.md. */
export default {
  async fetch(request: Request): Promise<Response> {
    try {
      if (request.method !== 'POST' && request.method !== 'PUT') {
        throw new Refusal(405, 'send the image as the body of a POST or PUT');
      }
      const options = parseOptions(new URL(request.url));
      if (typeof options === 'string') throw new Refusal(400, options);
      if (!request.body) throw new Refusal(400, 'the body is empty; send an image');
      return await shrink(request.body, options, request.signal);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return Response.json({ error: error.message }, { status: error.status });
    }
  },
};

async function shrink(
  body: ReadableStream<Uint8Array>,
  options: ThumbnailOptions,
  signal: AbortSignal,
): Promise<Response> {
  const output: Sharp = pipeline(Readable.fromWeb(body, { signal }), limitBytes(), transformer(options), () => {
    // The iterator below rejects with the same error.
  });
  const chunks = output[Symbol.asyncIterator]() as AsyncIterableIterator<Uint8Array>;
  // Whether the body is an image shows with the first byte of the result; until then the status is open.
  const first = await chunks.next().catch((error: unknown) => {
    throw explain(error);
  });
  if (first.done) throw new Refusal(415, 'the body is not an image');
  const { value } = first;
  const rest = async function* (): AsyncGenerator<Uint8Array> {
    yield value;
    yield* chunks;
  };
  return new Response(ReadableStream.from(rest()), {
    headers: { 'content-type': `image/${options.format}` },
  });
}

function transformer({ width, height, fit, format, quality }: ThumbnailOptions): Sharp {
  const image = sharp({ limitInputPixels: MAX_INPUT_PIXELS, failOn: 'error', sequentialRead: true })
    .autoOrient()
    .resize({ width, height, fit, withoutEnlargement: true });
  if (format === 'png') return image.png({ compressionLevel: 8 });
  return format === 'avif' ? image.avif({ quality, effort: 2 }) : image[format]({ quality });
}

function limitBytes(): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      bytes += chunk.length;
      if (bytes <= MAX_INPUT_BYTES) done(null, chunk);
      else done(new Refusal(413, `the image is larger than ${MAX_INPUT_BYTES / 2 ** 20} MiB`));
    },
  });
}

function explain(error: unknown): Error {
  if (error instanceof Refusal || !(error instanceof Error)) return error as Error;
  if (error.name === 'AbortError') return error;
  if (/pixel limit/.test(error.message)) {
    return new Refusal(413, `the image has more than ${MAX_INPUT_PIXELS / 1e6} million pixels`);
  }
  const reason = error.message.split('\n', 1)[0];
  return new Refusal(
    415,
    `the body is not an image that can be read (JPEG, PNG, WebP, AVIF, GIF, TIFF, SVG): ${reason}`,
  );
}

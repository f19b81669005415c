import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Payload, StoredResult } from '../queue.ts';

/** A body as it stands in a record's text: bytes are numbered parts that follow the text. */
type Packed = Exclude<Payload, { readonly kind: 'bytes' }> | { readonly kind: 'part'; readonly part: number };

/** Text with bodies in it, as one message. */
export interface Packer {
  readonly body: (body: Payload) => Packed;
  readonly result: (result: StoredResult) => Omit<StoredResult, 'body'> & { readonly body: Packed };
  /** The message: whatever `value` says, and the bodies. */
  readonly finish: (value: unknown) => Uint8Array;
}

/** Longer texts are compressed: what makes a record long is a list of attempts, which resemble each other. */
const COMPRESS_BYTES = 8192;
const PLAIN = 0;
const COMPRESSED = 1;
/** Format, then length of the text and number of parts. */
const HEAD_BYTES = 9;

/** Begins a message. Bodies with the same bytes are kept once. */
export function createPacker(): Packer {
  const parts: Uint8Array[] = [];
  const pack = (body: Payload): Packed => {
    if (body.kind !== 'bytes') return body;
    const { bytes } = body;
    const same = parts.findIndex((part) => Buffer.compare(part, bytes) === 0);
    if (same !== -1) return { kind: 'part', part: same };
    return { kind: 'part', part: parts.push(bytes) - 1 };
  };
  return {
    body: pack,
    result: ({ body, ...rest }) => ({ ...rest, body: pack(body) }),
    finish(value) {
      const plain = Buffer.from(JSON.stringify(value));
      const isLong = plain.length > COMPRESS_BYTES;
      const text = isLong ? deflateRawSync(plain) : plain;
      const head = Buffer.alloc(HEAD_BYTES + 4 * parts.length);
      head.writeUInt8(isLong ? COMPRESSED : PLAIN, 0);
      head.writeUInt32LE(text.length, 1);
      head.writeUInt32LE(parts.length, 5);
      for (const [index, part] of parts.entries()) head.writeUInt32LE(part.length, HEAD_BYTES + 4 * index);
      return Buffer.concat([head, text, ...parts]);
    },
  };
}

/** A message taken apart. */
export interface Unpacked {
  readonly value: unknown;
  readonly body: (packed: unknown) => Payload;
  readonly result: (packed: unknown) => StoredResult;
}

/** Takes a message apart again. Throws for what no {@link Packer} made. */
export function unpack(message: Uint8Array): Unpacked {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  const textLength = bytes.readUInt32LE(1);
  const count = bytes.readUInt32LE(5);
  let at = HEAD_BYTES + 4 * count;
  const text = bytes.subarray(at, at + textLength);
  at += textLength;
  const parts = Array.from({ length: count }, (_, index) => {
    const length = bytes.readUInt32LE(HEAD_BYTES + 4 * index);
    const part = bytes.subarray(at, at + length);
    if (part.length !== length) throw new RangeError('the message is shorter than it says');
    at += length;
    // A copy: the message shares its memory with others, which it would keep from being freed.
    return new Uint8Array(part);
  });
  const body = (packed: unknown): Payload => {
    const one = packed as Packed;
    if (one.kind !== 'part') return one;
    const part = parts[one.part];
    if (!part) throw new RangeError('the message lacks a part');
    return { kind: 'bytes', bytes: part };
  };
  return {
    value: JSON.parse((bytes.readUInt8(0) === COMPRESSED ? inflateRawSync(text) : text).toString()) as unknown,
    body,
    result(packed) {
      const one = packed as StoredResult;
      return { ...one, body: body(one.body) };
    },
  };
}

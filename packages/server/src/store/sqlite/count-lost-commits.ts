import { readFileSync } from 'node:fs';

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const MAGIC_LITTLE_ENDIAN = 0x377f0682;
const MAGIC_BIG_ENDIAN = 0x377f0683;

type Sums = readonly [number, number];

/**
 * How many acknowledged commits lie behind a damaged frame of a write-ahead log, where SQLite would silently stop
 * reading. A log whose end was torn in a crash counts 0: the frames of at most one commit can be there before it was
 * flushed, so only a second commit behind the damage proves that something flushed was damaged. Format:
 * https://www.sqlite.org/fileformat2.html#the_write_ahead_log
 */
export function countLostCommits(path: string): number {
  const log = readLog(path);
  if (log.length < HEADER_BYTES) return 0;
  const magic = log.readUInt32BE(0);
  if (magic !== MAGIC_LITTLE_ENDIAN && magic !== MAGIC_BIG_ENDIAN) return 0;
  const littleEndian = magic === MAGIC_LITTLE_ENDIAN;
  const frameBytes = FRAME_HEADER_BYTES + log.readUInt32BE(8);

  let sums: Sums = add([0, 0], log.subarray(0, 24), littleEndian);
  // The header goes to the disk in one sector before any frame; when it does not hold, the log was never in use.
  if (!matches(sums, log, 24)) return 0;
  let isSound = true;
  let behind = 0;
  for (let at = HEADER_BYTES; at + frameBytes <= log.length; at += frameBytes) {
    // Frames left from an earlier use of the file carry other salts; where they begin, the log ends.
    const isOfThisLog = log.compare(log, 16, 24, at + 8, at + 16) === 0;
    isSound &&= isOfThisLog;
    if (isSound) {
      sums = add(sums, log.subarray(at, at + 8), littleEndian);
      sums = add(sums, log.subarray(at + FRAME_HEADER_BYTES, at + frameBytes), littleEndian);
      isSound = matches(sums, log, at + 16);
    }
    const isCommit = log.readUInt32BE(at + 4) !== 0;
    if (!isSound && isOfThisLog && isCommit) behind += 1;
  }
  return behind > 1 ? behind : 0;
}

function readLog(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}

/** Goes on with the checksum of the format, which runs over pairs of 32-bit words. */
function add([first, second]: Sums, bytes: Buffer, littleEndian: boolean): Sums {
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let [one, two] = [first, second];
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    one = (one + words.getUint32(at, littleEndian) + two) >>> 0;
    two = (two + words.getUint32(at + 4, littleEndian) + one) >>> 0;
  }
  return [one, two];
}

function matches([one, two]: Sums, log: Buffer, at: number): boolean {
  return log.readUInt32BE(at) === one && log.readUInt32BE(at + 4) === two;
}

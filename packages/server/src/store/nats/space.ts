import { EbbError } from '../../core/errors.ts';

/** How full the place of a journal is. */
export interface Usage {
  readonly bytes: number;
  /** Undefined where no limit is known. */
  readonly maxBytes: number | undefined;
}

/**
 * Keeps room for what has become of the calls there are, so that a full queue can still be worked off: only new calls
 * are refused, before NATS would refuse everything.
 */
export interface Space {
  /** Takes in how things stand, with the number of calls that have not ended. */
  look(usage: Usage, open: number): void;
  /** Makes room for a new call of so many bytes. Throws STORAGE_FULL. */
  take(bytes: number): void;
}

/** What a call is given for its states: the largest ones, with an answer in them, take more, most of them less. */
const STATE_BYTES = 1024;
const SPARE_BYTES = 65_536;
/** What NATS adds to a message. */
const MESSAGE_BYTES = 128;

/** Makes a {@link Space} that knows of no limit. */
export function createSpace(): Space {
  let left = Infinity;
  return {
    look({ bytes, maxBytes }, open) {
      left = maxBytes === undefined ? Infinity : maxBytes - bytes - open * STATE_BYTES - SPARE_BYTES;
    },
    take(bytes) {
      const wanted = bytes + MESSAGE_BYTES + STATE_BYTES;
      if (wanted > left) {
        throw new EbbError(
          'STORAGE_FULL',
          'NATS has too little space left for more calls; raise the limit of the stream or of its account, or wait until some calls are forgotten',
        );
      }
      left -= wanted;
    },
  };
}

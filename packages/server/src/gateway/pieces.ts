/** Pieces below this come from Node's own pool at hardly any cost; buffers of their own pay above it. */
const SMALL_BYTES = 4_096;
const BUFFER_BYTES = 65_536;
/** Unused buffers that are kept, for all streams together. */
const MAX_KEPT = 32;

/** A piece of a stream on its way out. */
export interface Piece {
  readonly bytes: Buffer;
  /** To be called when the bytes have left, if there is anything to call. */
  readonly sent: (() => void) | undefined;
}

/**
 * Copies pieces of streams into buffers that are used again. Buffers made anew for each piece are garbage that the
 * collector hardly sees, because their bytes lie outside its heap: a process that streams fast would grow by 60 MB.
 */
export class Pieces {
  readonly #unused: Loan[] = [];

  /** A copy of a piece, which the caller writes and then gives back. */
  copy(piece: Buffer): Piece {
    if (piece.length < SMALL_BYTES || piece.length > BUFFER_BYTES)
      return { bytes: Buffer.from(piece), sent: undefined };
    const loan = this.#unused.pop() ?? new Loan(this.#unused);
    return loan.of(piece);
  }
}

/** One buffer, lent to one write after another. */
class Loan implements Piece {
  readonly sent: () => void;
  bytes: Buffer;
  readonly #memory = Buffer.allocUnsafeSlow(BUFFER_BYTES);

  constructor(unused: Loan[]) {
    this.bytes = this.#memory;
    this.sent = () => {
      if (unused.length < MAX_KEPT) unused.push(this);
    };
  }

  of(piece: Buffer): this {
    piece.copy(this.#memory);
    this.bytes = this.#memory.subarray(0, piece.length);
    return this;
  }
}

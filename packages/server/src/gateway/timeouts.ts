/** Something that waits in {@link Timeouts}, at most once at a time. All but `expire` belongs to them. */
export interface Timed {
  dueMs: number;
  sooner: Timed | undefined;
  later: Timed | undefined;
  /** Its time is over. */
  expire(): void;
}

/** Those who wait equally long: who came first is due first. */
class Line implements Timed {
  dueMs = 0;
  sooner: Timed = this;
  later: Timed = this;
  readonly #afterMs: number;
  readonly #onEmpty: (afterMs: number) => void;

  readonly #look = (): void => {
    for (let first = this.later; first !== this && first.dueMs <= performance.now(); first = this.later) {
      leave(first);
      first.expire();
    }
    if (this.later === this) this.#onEmpty(this.#afterMs);
    else this.#lookAt(this.later.dueMs);
  };

  constructor(afterMs: number, onEmpty: (afterMs: number) => void) {
    this.#afterMs = afterMs;
    this.#onEmpty = onEmpty;
    this.#lookAt(performance.now() + afterMs);
  }

  join(timed: Timed): void {
    timed.sooner = this.sooner;
    timed.later = this;
    this.sooner.later = timed;
    this.sooner = timed;
  }

  expire(): void {}

  #lookAt(dueMs: number): void {
    // Calls have connections that keep the process; who waits for nothing but this does not.
    setTimeout(this.#look, Math.max(1, dueMs - performance.now())).unref();
  }
}

/**
 * Calls back what has waited for its time, unless it left before, as nearly every call does: to join and to leave costs
 * four assignments, and there is one timer for all who wait equally long instead of one for each. Nobody expires too
 * soon.
 */
export class Timeouts {
  readonly #lines = new Map<number, Line>();
  readonly #drop = (afterMs: number): void => void this.#lines.delete(afterMs);

  /** Has `timed` expire `afterMs` from `nowMs`, in monotonic milliseconds. */
  join(timed: Timed, afterMs: number, nowMs: number): void {
    let line = this.#lines.get(afterMs);
    if (!line) {
      line = new Line(afterMs, this.#drop);
      this.#lines.set(afterMs, line);
    }
    timed.dueMs = nowMs + afterMs;
    line.join(timed);
  }

  /** Has `timed` wait no more, if it does. */
  leave(timed: Timed): void {
    leave(timed);
  }
}

function leave(timed: Timed): void {
  const { sooner, later } = timed;
  if (!sooner || !later) return;
  sooner.later = later;
  later.sooner = sooner;
  timed.sooner = undefined;
  timed.later = undefined;
}

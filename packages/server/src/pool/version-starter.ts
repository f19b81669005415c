import { ERRORS, type FunctionResource, type StartReport } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { asEbbError, EbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Version } from '../core/ports.ts';
import type { Engine, Instance } from '../engines/engine.ts';
import type { LaunchContext } from './launch-context.ts';
import type { Launched, Launcher } from './launcher.ts';
import { type HeldBack, StartBackoff } from './start-backoff.ts';
import type { StartBudget } from './start-budget.ts';

/** An instance of an earlier server answers within this time, or is stopped. */
const ADOPT_MS = 2_000;
/** What a new start weighs in the mean time that starts take. */
const START_WEIGHT = 0.3;
/** An instance that ends by itself sooner than this after it was ready may be one of a row. */
const STEADY_MS = 10_000;
/** Ends of this many in a row hold starts back; one alone may be the fault of a single call. */
const CRASHES_BEFORE_HOLDING = 3;
/** A row of ends is forgotten when the next one is that long after it. */
const CRASHES_KEPT_MS = 60_000;

/** What a {@link VersionStarter} is made with. */
export interface VersionStarterOptions {
  readonly version: Version;
  readonly engine: Engine;
  readonly launcher: Launcher;
  readonly budget: StartBudget;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborts when nothing is to be started any more. */
  readonly closing: AbortSignal;
  /** Called with an instance that is ready. */
  readonly onStarted: (launched: Launched) => void;
  /** Called when a start failed that nobody awaits. */
  readonly onFailed: () => void;
  /** Called when a start is over, whatever came of it. */
  readonly onEnded: () => void;
}

/** Starts the instances of one version: counts what is under way and holds back what keeps failing. */
export class VersionStarter {
  readonly #options: VersionStarterOptions;
  readonly #backoff = new StartBackoff();
  readonly #crashes = new StartBackoff(CRASHES_BEFORE_HOLDING);
  #crashedAtMs = -Infinity;
  #starting = 0;
  /** Of those, the ones that have a permit. */
  #launching = 0;
  #startMs: number | undefined;
  #made = 0;
  #failed = 0;

  constructor(options: VersionStarterOptions) {
    this.#options = options;
  }

  /** Starts under way, those that wait for a permit included. */
  get starting(): number {
    return this.#starting;
  }

  /** How long instances took to start, in milliseconds, recent starts weighing most; undefined before the first. */
  get startMs(): number | undefined {
    return this.#startMs;
  }

  /** Starts that came to something since it was made, and those of them that failed because of the function. */
  get counts(): { readonly made: number; readonly failed: number } {
    return { made: this.#made, failed: this.#failed };
  }

  /** Why no start may be tried now, if so. */
  get held(): HeldBack | undefined {
    const now = this.#options.clock.monotonic();
    const crashes = this.#crashes.blocked(now);
    const starts = this.#backoff.blocked(now);
    return crashes && (!starts || crashes.leftMs > starts.leftMs) ? crashes : starts;
  }

  /** Whether the last start failed: then the next one goes alone, so that few fail in vain. */
  get isSuspect(): boolean {
    return this.#backoff.failures > 0;
  }

  /** Starts one instance now. Throws what {@link Launcher.launch} throws. */
  async startOne(cause: StartReport['cause'], signal?: AbortSignal): Promise<void> {
    const { clock, budget, closing, version } = this.#options;
    const context = { cause, decidedAtMs: clock.monotonic() };
    this.#starting += 1;
    try {
      using _permit = await budget.acquire(version);
      await this.#launch(context, signal ? AbortSignal.any([signal, closing]) : closing);
    } finally {
      this.#ended();
    }
  }

  /** Starts one instance unless starts are held back or none is lacking once its turn has come. Never throws. */
  async startIf(isLacking: () => boolean, cause: StartReport['cause']): Promise<void> {
    const { clock, budget, closing, version } = this.#options;
    const context = { cause, decidedAtMs: clock.monotonic() };
    this.#starting += 1;
    try {
      using _permit = await budget.acquire(version);
      // What was lacking when the permit was asked for may be there by now (S3), or known not to start.
      if (!isLacking() || this.held || (this.isSuspect && this.#launching > 0)) return;
      await this.#launch(context, closing);
    } catch (error) {
      this.failed(asEbbError(error));
    } finally {
      this.#ended();
    }
  }

  /** Takes over an instance of an earlier server. False when it does not answer; it is then stopped. */
  async adopt(instance: Instance): Promise<boolean> {
    const { engine, launcher, version, logger, onStarted } = this.#options;
    this.#starting += 1;
    try {
      if (instance.state === 'frozen') await engine.thaw(instance.id);
      const launched = await launcher.adopt(version, instance, AbortSignal.timeout(ADOPT_MS));
      this.#backoff.succeeded();
      onStarted(launched);
      return true;
    } catch (error) {
      const err = asEbbError(error);
      logger.warn({ instance: instance.id, err }, 'an instance of the last run does not answer and is stopped');
      return false;
    } finally {
      this.#ended();
    }
  }

  /** Takes note of a start that failed. */
  failed(error: EbbError): void {
    const { logger, clock, version, closing, onFailed } = this.#options;
    if (closing.aborted) return;
    logger.warn({ version: version.key, code: error.code, err: error }, 'an instance could not be started');
    this.#backoff.failed(error, clock.monotonic());
    if (ERRORS[error.code].fault === 'function') {
      this.#made += 1;
      this.#failed += 1;
    }
    onFailed();
  }

  /** Takes note of an instance that ended by itself `livedMs` after it was ready. */
  crashed(error: EbbError, livedMs: number): void {
    const { clock, closing } = this.#options;
    if (closing.aborted) return;
    const now = clock.monotonic();
    if (livedMs >= STEADY_MS || now - this.#crashedAtMs > CRASHES_KEPT_MS) this.#crashes.succeeded();
    this.#crashedAtMs = now;
    if (livedMs < STEADY_MS) this.#crashes.failed(error, now);
  }

  /** What a call is told that comes while starts are held back. */
  refusal({ error, leftMs, failures }: HeldBack): EbbError {
    const retryAfterSeconds = Math.max(1, Math.ceil(leftMs / 1000));
    const message =
      error.component === 'engine'
        ? error.message
        : `${error.message}, after ${failures} failures in a row; the next start is tried in ${retryAfterSeconds} s`;
    const { logs } = error;
    return new EbbError(error.code, message, { cause: error, retryAfterSeconds, ...(logs ? { logs } : {}) });
  }

  /** Why starts are held back and until when, as the API shows it. */
  describeHeld(): FunctionResource['startsHeld'] {
    const { held } = this;
    if (!held) return undefined;
    const until = new Date(this.#options.clock.now() + held.leftMs).toISOString();
    return { reason: held.error.message, failures: held.failures, until };
  }

  async #launch(context: LaunchContext, signal: AbortSignal): Promise<void> {
    const { clock, launcher, version, onStarted } = this.#options;
    const beganAt = clock.monotonic();
    this.#launching += 1;
    const launched = await launcher.launch(version, context, signal).finally(() => (this.#launching -= 1));
    const tookMs = clock.monotonic() - beganAt;
    this.#startMs = this.#startMs === undefined ? tookMs : this.#startMs + (tookMs - this.#startMs) * START_WEIGHT;
    this.#backoff.succeeded();
    this.#made += 1;
    onStarted(launched);
  }

  #ended(): void {
    this.#starting -= 1;
    this.#options.onEnded();
  }
}

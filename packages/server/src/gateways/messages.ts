import type { ErrorCode, LogLine, VersionKey, WaitReport } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';
import type { FunctionRecord, RegistryChange, Version } from '../core/ports.ts';
import type { Target } from '../engines/engine.ts';
import type { SlotFailure } from '../pool/admission.ts';
import type { Ending } from '../pool/ending.ts';
import type { CountedCalls } from '../telemetry/call-tally.ts';
import type { CountedCopies } from '../telemetry/copy-tally.ts';
import type { CountedVersion } from '../telemetry/version-tally.ts';

/** What a gateway process is made with. */
export interface GatewaySetup {
  readonly maxHeaderBytes: number;
  readonly headersTimeoutMs: number;
  readonly logLevel: string;
  /** Hosts below it name functions. */
  readonly domain?: string | undefined;
  /** Unix socket at which the first process answers what is not a function. */
  readonly controlSocket: string;
  /** The functions there are. */
  readonly records: readonly FunctionRecord[];
  /** Namespaces whose calls have to ask whether they may pass. */
  readonly limited: readonly string[];
}

/** An error on its way to another process. */
export interface SentError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryAfterSeconds?: number | undefined;
  readonly logs?: readonly string[] | undefined;
}

/** What the first process says about slots. */
export type SlotMessage =
  /** A lease: the slot of an instance, for one request after another until it is given back. */
  | {
      readonly kind: 'grant';
      readonly key: VersionKey;
      readonly lease: number;
      readonly instance: string;
      readonly target: Target;
      readonly managed: boolean;
      /** What the call that is served first waited for, if it had to. */
      readonly wait?: WaitReport | undefined;
      /** Others wait as well: it is wanted back soon. */
      readonly hurried: boolean;
    }
  | { readonly kind: 'refuse'; readonly key: VersionKey; readonly error: SentError }
  /** Answers `withdraw`: how many of those withdrawn had not been answered before. */
  | { readonly kind: 'withdrawn'; readonly key: VersionKey; readonly asked: number; readonly removed: number }
  /** What is idle of a version is wanted back now, the rest soon. Answered with `recalled` if it has a round. */
  | { readonly kind: 'recall'; readonly key: VersionKey; readonly round?: number | undefined }
  /** The instance takes no new requests: its leases and connections are to be given up. */
  | { readonly kind: 'drop'; readonly instance: string }
  /** What became of an instance, as asked. */
  | { readonly kind: 'ended'; readonly ask: number; readonly ending?: Ending | undefined };

/** What the first process says about rates. */
export type RateMessage =
  /** Whether calls of the namespace have to ask. Answered with `routed`. */
  | { readonly kind: 'rate'; readonly seq: number; readonly namespace: string; readonly isLimited: boolean }
  /** So many calls may pass, those asked for first; the others not before `retryAfterMs`. */
  | {
      readonly kind: 'drawn';
      readonly namespace: string;
      readonly granted: number;
      readonly retryAfterMs: number;
    };

/** What a gateway says about rates. */
export type RateRequest =
  /** So many calls wait to pass. Answered with `drawn`. */
  | { readonly kind: 'draw'; readonly namespace: string; readonly count: number }
  /** So many that might have passed did not come. */
  | { readonly kind: 'put-back'; readonly namespace: string; readonly count: number };

/** What the first process says to a gateway. */
export type ToGateway =
  | SlotMessage
  | RateMessage
  | { readonly kind: 'setup'; readonly setup: GatewaySetup }
  /** Comes with the connection of a caller. */
  | { readonly kind: 'connection' }
  | { readonly kind: 'route'; readonly seq: number; readonly change: RegistryChange }
  | { readonly kind: 'authenticated'; readonly id: number; readonly error?: SentError | undefined }
  /** Answers `find`: the version, or why there is none. */
  | {
      readonly kind: 'found';
      readonly id: number;
      readonly version?: Version | undefined;
      readonly error?: SentError | undefined;
    }
  /** Requests that begin from now on are for the process at a unix socket, or for the gateway again. */
  | { readonly kind: 'hand-on'; readonly relay?: string | undefined }
  | { readonly kind: 'drain'; readonly limitMs?: number | undefined }
  | { readonly kind: 'close' };

/** What a gateway says about slots. */
export type SlotRequest =
  | { readonly kind: 'want'; readonly key: VersionKey; readonly count: number }
  | { readonly kind: 'withdraw'; readonly key: VersionKey; readonly count: number }
  /** Leases of one instance; `healed` as for `failed`. */
  | { readonly kind: 'return'; readonly leases: readonly number[]; readonly healed: boolean }
  /** The instance let a request down; `healed` if another one of this gateway went well since the last failure. */
  | { readonly kind: 'failed'; readonly lease: number; readonly failure: SlotFailure; readonly healed: boolean }
  /** What became of the instance of a lease that is not given back yet? Answered with `ended`. */
  | { readonly kind: 'ending'; readonly ask: number; readonly lease: number; readonly callId: string }
  | { readonly kind: 'recalled'; readonly round: number };

/** What a gateway says to the first process. */
export type FromGateway =
  | SlotRequest
  | RateRequest
  | { readonly kind: 'ready' }
  | { readonly kind: 'routed'; readonly seq: number }
  | {
      readonly kind: 'authenticate';
      readonly id: number;
      readonly authorization?: string | undefined;
      readonly remoteAddress: string;
    }
  /** Which version is it that is called by its number? Answered with `found`. */
  | {
      readonly kind: 'find';
      readonly id: number;
      readonly namespace: string;
      readonly name: string;
      readonly version: number;
    }
  /** What happened since the last report. */
  | {
      readonly kind: 'report';
      readonly calls: readonly CountedCalls[];
      /** Copies that went to shadow versions. */
      readonly copies: readonly CountedCopies[];
      /** Of functions whose live traffic several versions share, such as in a rollout. */
      readonly versions: readonly CountedVersion[];
      /** Calls served under a lease that was there already, which the pools could not count. */
      readonly reused: readonly (readonly [key: VersionKey, count: number])[];
      readonly lines: readonly LogLine[];
      /** Connections that were closed. */
      readonly closed: number;
      /** Calls that run or wait now, all and by version. */
      readonly running: number;
      readonly runningOf: readonly (readonly [key: VersionKey, count: number])[];
    }
  | { readonly kind: 'drained' };

/** An error as it is sent; causes stay where they are. */
export function sendable({ code, message, retryAfterSeconds, logs }: EbbError): SentError {
  return { code, message, retryAfterSeconds, logs };
}

/** The error that was sent. */
export function received({ code, message, retryAfterSeconds, logs }: SentError): EbbError {
  return new EbbError(code, message, {
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(logs === undefined ? {} : { logs }),
  });
}

/** A function as a gateway needs it: without what only its instances may know. */
export function routedRecord(record: FunctionRecord): FunctionRecord {
  return { ...record, live: routedVersion(record.live), versions: record.versions.map(routedVersion) };
}

/** A version as a gateway needs it. */
export function routedVersion(version: Version): Version {
  return { ...version, spec: { ...version.spec, env: {}, secrets: [] } };
}

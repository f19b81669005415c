/** Names of the sockets by which servers of one installation hand over, in its directory of sockets. */
export function takeoverSocketName(pid: number): string {
  return `takeover-${pid}.sock`;
}

/** Where a server gives its port away. */
export function portSocketName(pid: number): string {
  return `port-${pid}.sock`;
}

/** Where a successor takes connections that its predecessor passes on. */
export function relaySocketName(pid: number): string {
  return `relay-${pid}.sock`;
}

/** What a successor says to the server that runs. */
export type FromSuccessor =
  /** It wants to take over. Answered with `welcome` or `refused`. */
  | { readonly kind: 'hello'; readonly pid: number; readonly version: string }
  /** It wants the store: answered with `lent` when changes under way are done and the store is closed, or `refused`. */
  | { readonly kind: 'lend' }
  /** It serves what comes to `relay`: answered with `given` when instances without a call are its own. */
  | { readonly kind: 'take'; readonly relay: string }
  /** It accepts connections. From here on the old server only finishes. */
  | { readonly kind: 'open' }
  /** Which instances are still the old server's? Answered with `held`. */
  | { readonly kind: 'held'; readonly ask: number }
  /** The attempt of an asynchronous call is to be ended, if it runs there. Answered with `aborted`. */
  | { readonly kind: 'abort'; readonly ask: number; readonly id: string; readonly message: string }
  /** The answer to `calls`; without a text the queue failed. */
  | { readonly kind: 'calls'; readonly ask: number; readonly text?: string };

/** What the server that runs says to its successor. */
export type FromPredecessor =
  | {
      readonly kind: 'welcome';
      readonly pid: number;
      readonly host: string;
      readonly port: number;
      /** Clients on this machine have it already. */
      readonly localToken: string;
      /** Runs of the server that may still have asynchronous calls: its own, and that of the one before it. */
      readonly owners: readonly string[];
    }
  | { readonly kind: 'refused'; readonly message: string }
  /** It is shutting down: instead of `welcome`. */
  | { readonly kind: 'closing' }
  | { readonly kind: 'lent' }
  | { readonly kind: 'given' }
  | { readonly kind: 'held'; readonly ask: number; readonly ids: readonly string[] }
  /** Whether the call ran there; then it is settled as cancelled soon. */
  | { readonly kind: 'aborted'; readonly ask: number; readonly isDone: boolean }
  /** Something is to be done in the queue of asynchronous calls, for one that still runs there. */
  | { readonly kind: 'calls'; readonly ask: number; readonly text: string }
  /** Instances have become free. */
  | { readonly kind: 'released' };

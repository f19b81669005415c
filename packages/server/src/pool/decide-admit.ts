/** The calls of one function that run or wait now, and what was said about them. */
export interface FunctionCalls {
  readonly calls: number;
  /** Most at once; absent for any number. */
  readonly concurrency?: number | undefined;
  /** Calls at once that others of the namespace leave room for. */
  readonly reserved: number;
}

/** The same of its namespace. */
export interface NamespaceCalls {
  /** Most at once; absent for any number. */
  readonly concurrency?: number | undefined;
  /** The other functions of the namespace. */
  readonly others: Iterable<Pick<FunctionCalls, 'calls' | 'reserved'>>;
}

/**
 * Whether one more call of a function may come, or whose limit forbids it. There are never more calls than a limit
 * allows, and as long as the reserved ones fit into it together, every function gets those it has reserved.
 */
export function decideAdmit(own: FunctionCalls, namespace: NamespaceCalls): 'admit' | 'function' | 'namespace' {
  const { calls, reserved } = own;
  if (own.concurrency !== undefined && calls >= own.concurrency) return 'function';
  if (namespace.concurrency === undefined) return 'admit';
  const { running, held } = sum(own, namespace);
  if (running >= namespace.concurrency) return 'namespace';
  return calls < reserved || held < namespace.concurrency ? 'admit' : 'namespace';
}

/** Whether a function has more calls than it may, because a limit was lowered or something reserved meanwhile. */
export function exceeds(own: FunctionCalls, namespace: NamespaceCalls): boolean {
  const { calls, reserved } = own;
  if (own.concurrency !== undefined && calls > own.concurrency) return true;
  if (namespace.concurrency === undefined) return false;
  const { running, held } = sum(own, namespace);
  return running > namespace.concurrency || (held > namespace.concurrency && calls > reserved);
}

/** The calls there are, and those with what is reserved beyond them. */
function sum({ calls, reserved }: FunctionCalls, { others }: NamespaceCalls) {
  let running = calls;
  let held = Math.max(calls, reserved);
  for (const other of others) {
    running += other.calls;
    held += Math.max(other.calls, other.reserved);
  }
  return { running, held };
}

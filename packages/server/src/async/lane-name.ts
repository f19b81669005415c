/** What a lane's items are for. */
export interface LaneName {
  readonly namespace: string;
  readonly kind: 'function' | 'url' | 'queue';
  /** Of the function or queue, or the host of the address. */
  readonly name: string;
}

/** Reads a lane: `NAMESPACE/NAME` of a function, `NAMESPACE/url:HOST` or `NAMESPACE/queue:NAME`. */
export function parseLane(lane: string): LaneName {
  const slash = lane.indexOf('/');
  const namespace = lane.slice(0, slash);
  const rest = lane.slice(slash + 1);
  if (rest.startsWith('url:')) return { namespace, kind: 'url', name: rest.slice(4) };
  if (rest.startsWith('queue:')) return { namespace, kind: 'queue', name: rest.slice(6) };
  return { namespace, kind: 'function', name: rest };
}

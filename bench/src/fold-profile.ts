/** A profile as V8 writes it. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
  }[];
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Part of the busy time. */
export interface Share {
  readonly name: string;
  readonly share: number;
}

/** A profile, summed up. */
export interface FoldedProfile {
  /** Time that was not idle, of the whole window. */
  readonly busyShare: number;
  readonly busyUsPerRequest: number;
  /** Functions by the time spent in themselves. */
  readonly top: readonly Share[];
  /** Files and rooms by the time spent in themselves. */
  readonly places: readonly Share[];
  /** Stacks, outermost first and joined by `;`, each with its share in parts of a hundred thousand. */
  readonly stacks: readonly string[];
}

const IDLE = '(idle)';
/** Stacks below this share are added to the one they branch from. */
const LEAST = 0.001;
const PARTS = 100_000;
const MOST_FUNCTIONS = 60;

/** Sums the samples of a window up. */
export function foldProfile(
  profile: CpuProfile,
  window: { readonly fromUs: number; readonly untilUs: number; readonly requests: number },
): FoldedProfile {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(
    profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)),
  );
  const selfUs = new Map<number, number>();
  let atUs = profile.startTime;
  let [busyUs, allUs] = [0, 0];
  profile.samples.forEach((id, index) => {
    const deltaUs = profile.timeDeltas[index + 1] ?? 0;
    atUs += profile.timeDeltas[index] ?? 0;
    if (atUs < window.fromUs || atUs > window.untilUs) return;
    allUs += deltaUs;
    if (nodes.get(id)?.callFrame.functionName === IDLE) return;
    busyUs += deltaUs;
    selfUs.set(id, (selfUs.get(id) ?? 0) + deltaUs);
  });
  const tops = new Map<string, number>();
  const places = new Map<string, number>();
  const stacks = new Map<string, number>();
  const totalUs = new Map<number, number>();
  for (const [id, us] of selfUs) {
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      totalUs.set(at, (totalUs.get(at) ?? 0) + us);
    }
  }
  for (const [id, us] of selfUs) {
    const frame = nodes.get(id)?.callFrame;
    if (!frame) continue;
    add(tops, frameName(frame), us);
    add(places, placeOf(frame), us);
    let shown: number | undefined = id;
    while (shown !== undefined && (totalUs.get(shown) ?? 0) < LEAST * busyUs) shown = parents.get(shown);
    const names: string[] = [];
    for (; shown !== undefined; shown = parents.get(shown)) {
      const outer = nodes.get(shown)?.callFrame;
      if (outer && outer.functionName !== '(root)') names.unshift(frameName(outer));
    }
    add(stacks, names.join(';'), us);
  }
  const shares = (sums: ReadonlyMap<string, number>) =>
    [...sums].map(([name, us]) => ({ name, share: us / busyUs })).toSorted((a, b) => b.share - a.share);
  return {
    busyShare: busyUs / allUs,
    busyUsPerRequest: busyUs / window.requests,
    top: shares(tops).slice(0, MOST_FUNCTIONS),
    places: shares(places),
    stacks: [...stacks]
      .map(([stack, us]) => `${stack} ${Math.round((us / busyUs) * PARTS)}`)
      .toSorted((a, b) => (a < b ? -1 : 1)),
  };
}

type Frame = CpuProfile['nodes'][number]['callFrame'];

function frameName({ functionName, url, lineNumber }: Frame): string {
  const name = functionName === '' ? '(anonymous)' : functionName;
  return url === '' ? name : `${name} ${shortUrl(url)}:${lineNumber + 1}`;
}

function shortUrl(url: string): string {
  return url
    .replace(/^.*\/packages\/server\/src\//, '')
    .replace(/^.*\/node_modules\//, 'npm:')
    .replace(/^.*\/packages\//, '');
}

/** What a frame is a part of, in words for people. */
function placeOf({ functionName, url }: Frame): string {
  if (functionName === '(garbage collector)') return 'garbage collection';
  if (functionName === '(program)') return 'native code outside JavaScript: the event loop, system calls that read';
  if (url === '') return 'native functions called from JavaScript, above all the system calls that write to sockets';
  if (url.startsWith('node:')) return "Node's own JavaScript: sockets, streams, timers";
  const short = shortUrl(url);
  return short.startsWith('npm:') ? (short.split('/')[0] ?? short) : `\`${short}\``;
}

function add(sums: Map<string, number>, name: string, us: number): void {
  sums.set(name, (sums.get(name) ?? 0) + us);
}

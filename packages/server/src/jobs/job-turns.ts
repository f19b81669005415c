import { IndexedHeap } from '../core/indexed-heap.ts';

/** A job as the choice sees it. */
export interface JobView {
  readonly id: string;
  readonly namespace: string;
  /** Whether its tasks are containers, which share the host; calls of functions have limits of their own. */
  readonly isContainer: boolean;
  /** Tasks that run. */
  readonly running: number;
  /** Whether a task could begin now. */
  readonly isReady: boolean;
  readonly parallelism: number;
  /** Memory one task may take. */
  readonly memoryBytes: number;
  /** Position in the order of submission. */
  readonly order: number;
}

/** What there is room for. */
export interface JobRoom {
  /** Most tasks of all jobs that are containers. */
  readonly maxContainers: number;
  /** Most tasks of all jobs that are calls. */
  readonly maxCalls: number;
  /** Most tasks at once of a namespace; undefined for any number. */
  readonly namespaceLimit: (namespace: string) => number | undefined;
  /** Memory that containers may take together. */
  readonly memoryBytes: number;
}

interface Namespace {
  readonly name: string;
  running: number;
  readonly groups: Map<string, Group>;
}

/** Jobs of one namespace between which room makes no difference: where one may begin a task, all may. */
interface Group {
  readonly namespace: Namespace;
  readonly isContainer: boolean;
  readonly memoryBytes: number;
  size: number;
  /** Those of which a task could begin. */
  readonly ready: IndexedHeap<Entry>;
}

interface Entry {
  job: JobView;
  readonly group: Group;
}

/**
 * Which job's task begins next. Of the namespaces the one with the fewest running tasks comes first, of its jobs the one
 * with the fewest, then the older one: so a job of ten thousand tasks holds up nobody for longer than one task. A change
 * of a job and a choice each cost the logarithm of how many jobs there are, and of what is passed over for lack of room
 * one look for all jobs of a namespace whose tasks take the same memory.
 */
export class JobTurns {
  readonly #entries = new Map<string, Entry>();
  readonly #namespaces = new Map<string, Namespace>();
  readonly #containers = new IndexedHeap<Group>(isGroupBefore);
  readonly #calls = new IndexedHeap<Group>(isGroupBefore);
  #runningContainers = 0;
  #runningCalls = 0;
  #bytes = 0;

  /** Whether no job has a task that could begin if there were room. */
  get isEmpty(): boolean {
    return !this.#containers.first && !this.#calls.first;
  }

  /** Takes note of how a job stands. */
  put(job: JobView): void {
    const entry = this.#entries.get(job.id) ?? this.#join(job);
    const { group } = entry;
    const more = job.running - entry.job.running;
    // Of several whose order changes at once, none may be compared with one that is not where it belongs.
    const moved = more === 0 ? [group] : [...group.namespace.groups.values()];
    for (const one of moved) this.#lineOf(one).remove(one);
    entry.job = job;
    if (job.isReady && job.running < job.parallelism) group.ready.place(entry);
    else group.ready.remove(entry);
    group.namespace.running += more;
    if (group.isContainer) {
      this.#runningContainers += more;
      this.#bytes += more * group.memoryBytes;
    } else this.#runningCalls += more;
    for (const one of moved) if (one.ready.first) this.#lineOf(one).place(one);
  }

  /** Forgets a job. */
  delete(id: string): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    this.put({ ...entry.job, running: 0, isReady: false });
    this.#entries.delete(id);
    const { group } = entry;
    group.size -= 1;
    if (group.size > 0) return;
    group.namespace.groups.delete(groupKey(group));
    if (group.namespace.groups.size === 0) this.#namespaces.delete(group.namespace.name);
  }

  /** The id of the job whose task begins next, or undefined when none may. */
  next(room: JobRoom): string | undefined {
    const ready = [
      this.#runningContainers < room.maxContainers &&
        this.#firstThat(this.#containers, (group) => this.#fits(group, room)),
      this.#runningCalls < room.maxCalls && this.#firstThat(this.#calls, (group) => isWithinLimit(group, room)),
    ].filter((group) => group !== undefined && group !== false);
    return ready.toSorted((one, other) => (isGroupBefore(one, other) ? -1 : 1))[0]?.ready.first?.job.id;
  }

  #fits(group: Group, room: JobRoom): boolean {
    if (!isWithinLimit(group, room)) return false;
    // One that alone is more than there is runs alone.
    return this.#runningContainers === 0 || this.#bytes + group.memoryBytes <= room.memoryBytes;
  }

  #firstThat(groups: IndexedHeap<Group>, fits: (group: Group) => boolean): Group | undefined {
    const passed: Group[] = [];
    let group = groups.first;
    for (; group && !fits(group); group = groups.first) {
      passed.push(group);
      groups.remove(group);
    }
    for (const one of passed) groups.place(one);
    return group;
  }

  #lineOf({ isContainer }: Group): IndexedHeap<Group> {
    return isContainer ? this.#containers : this.#calls;
  }

  #join(job: JobView): Entry {
    const name = job.namespace;
    const namespace = this.#namespaces.get(name) ?? { name, running: 0, groups: new Map<string, Group>() };
    this.#namespaces.set(name, namespace);
    const key = groupKey(job);
    const group = namespace.groups.get(key) ?? {
      namespace,
      isContainer: job.isContainer,
      memoryBytes: job.memoryBytes,
      size: 0,
      ready: new IndexedHeap<Entry>((one, other) => isJobBefore(one.job, other.job)),
    };
    namespace.groups.set(key, group);
    group.size += 1;
    const entry = { job: { ...job, running: 0 }, group };
    this.#entries.set(job.id, entry);
    return entry;
  }
}

/** What calls of functions take is counted with the functions. */
function groupKey({ isContainer, memoryBytes }: Pick<JobView, 'isContainer' | 'memoryBytes'>): string {
  return isContainer ? String(memoryBytes) : 'calls';
}

function isWithinLimit({ namespace }: Group, room: JobRoom): boolean {
  return namespace.running < (room.namespaceLimit(namespace.name) ?? Number.POSITIVE_INFINITY);
}

function isGroupBefore(one: Group, other: Group): boolean {
  if (one.namespace.running !== other.namespace.running) return one.namespace.running < other.namespace.running;
  const [a, b] = [one.ready.first?.job, other.ready.first?.job];
  return a !== undefined && b !== undefined && isJobBefore(a, b);
}

function isJobBefore(one: JobView, other: JobView): boolean {
  return one.running === other.running ? one.order < other.order : one.running < other.running;
}

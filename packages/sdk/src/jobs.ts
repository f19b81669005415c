import {
  JOB_STREAM,
  JOB_STREAM_HEADER_BYTES,
  type JobQuery,
  type JobResource,
  type LogLine,
  type LogQuery,
  type SubmitJobsInput,
  type TaskQuery,
  type TaskResource,
} from '@ebb/contract';
import { readJsonLines } from './read-lines.ts';
import type { RequestBody, Transport } from './transport.ts';

/** Lets a caller give up on a request. */
interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** What comes of a job whose input and output are streamed; the last one is its end. */
export type JobPiece =
  | { readonly kind: 'output' | 'error'; readonly bytes: Uint8Array }
  | { readonly kind: 'end'; readonly job: JobResource; readonly task: TaskResource };

/** Batch jobs of a server. */
export function jobsOf(transport: Transport) {
  const { json, request } = transport;
  return {
    /** Accepts jobs, all or none; they are on disk when the promise resolves. */
    submit: (namespace: string, jobs: SubmitJobsInput['jobs'], call: CallOptions = {}) =>
      json<readonly JobResource[]>(jobsPath(namespace), {
        ...call,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jobs }),
      }),
    /** Runs a job of one task: sends its standard input while what it writes comes. Giving up cancels it. */
    async *stream(
      namespace: string,
      { name, spec }: SubmitJobsInput['jobs'][number],
      input: RequestBody,
      call: CallOptions = {},
    ): AsyncGenerator<JobPiece, void, undefined> {
      const response = await request(`/v1/namespaces/${encodeURIComponent(namespace)}/job-streams`, {
        ...call,
        method: 'POST',
        headers: { 'content-type': 'application/octet-stream' },
        query: { name, spec: JSON.stringify(spec) },
        body: input,
      });
      yield* readPieces(response);
    },
    /** Newest first. */
    list: (namespace: string, query: Partial<JobQuery> = {}, call: CallOptions = {}) =>
      json<readonly JobResource[]>(jobsPath(namespace), { ...call, query }),
    get: (namespace: string, id: string, call: CallOptions = {}) => json<JobResource>(jobPath(namespace, id), call),
    /** The job as it stands, again after changes, until it has ended or the server stops. */
    async *watch(namespace: string, id: string, call: CallOptions = {}): AsyncGenerator<JobResource, void, undefined> {
      yield* readJsonLines<JobResource>(await request(`${jobPath(namespace, id)}/watch`, call));
    },
    /** By index, from `from` on. */
    tasks: (namespace: string, id: string, query: Partial<TaskQuery> = {}, call: CallOptions = {}) =>
      json<readonly TaskResource[]>(`${jobPath(namespace, id)}/tasks`, { ...call, query }),
    /** What a task wrote to standard output, or its function answered; still streaming. */
    result: (namespace: string, id: string, index: number, call: CallOptions = {}) =>
      request(`${jobPath(namespace, id)}/tasks/${index}/result`, call),
    async *logs(
      namespace: string,
      id: string,
      query: Partial<Omit<LogQuery, 'callId' | 'instance'>> & { readonly task?: number } = {},
      call: CallOptions = {},
    ): AsyncGenerator<LogLine, void, undefined> {
      yield* readJsonLines<LogLine>(await request(`${jobPath(namespace, id)}/logs`, { ...call, query }));
    },
    cancel: (namespace: string, id: string, call: CallOptions = {}) =>
      json<JobResource>(`${jobPath(namespace, id)}/cancel`, { ...call, method: 'POST' }),
    /** Submits it again; with `failed` what succeeded is kept. */
    rerun: (namespace: string, id: string, call: CallOptions & { readonly failed?: boolean } = {}) =>
      json<JobResource>(`${jobPath(namespace, id)}/rerun`, {
        method: 'POST',
        query: { failed: call.failed },
        signal: call.signal,
      }),
    async remove(namespace: string, id: string, call: CallOptions = {}): Promise<void> {
      await request(jobPath(namespace, id), { ...call, method: 'DELETE' });
    },
  };
}

function jobsPath(namespace: string): string {
  return `/v1/namespaces/${encodeURIComponent(namespace)}/jobs`;
}

function jobPath(namespace: string, id: string): string {
  return `${jobsPath(namespace)}/${encodeURIComponent(id)}`;
}

/** The pieces of a streamed job, as they arrive. Throws when the stream ends before the job's end has come. */
async function* readPieces(response: Response): AsyncGenerator<JobPiece, void, undefined> {
  let rest = new Uint8Array(0);
  for await (const chunk of response.body ?? []) {
    rest = rest.length === 0 ? chunk : joined(rest, chunk);
    let offset = 0;
    while (rest.length - offset >= JOB_STREAM_HEADER_BYTES) {
      const length = new DataView(rest.buffer, rest.byteOffset + offset + 1, 4).getUint32(0);
      const from = offset + JOB_STREAM_HEADER_BYTES;
      if (rest.length < from + length) break;
      const bytes = rest.subarray(from, from + length);
      const kind = rest[offset];
      if (kind === JOB_STREAM.end) {
        yield { kind: 'end', ...(JSON.parse(new TextDecoder().decode(bytes)) as EndOfJob) };
        return;
      }
      yield { kind: kind === JOB_STREAM.error ? 'error' : 'output', bytes };
      offset = from + length;
    }
    rest = rest.subarray(offset);
  }
  throw new Error('the connection ended before the job did');
}

type EndOfJob = Omit<Extract<JobPiece, { kind: 'end' }>, 'kind'>;

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

import {
  jobQuerySchema,
  jobResourceSchema,
  jobSpecSchema,
  logLineSchema,
  logQuerySchema,
  nameSchema,
  submitJobsSchema,
  taskQuerySchema,
  taskResourceSchema,
} from '@ebb/contract';
import { z } from 'zod';
import type { LogBook, NamespaceRegistry } from '../core/ports.ts';
import type { Jobs } from '../jobs/jobs.ts';
import { type Body, jsonBody } from './body.ts';
import { namespaceParams, requireNamespace } from './namespace-routes.ts';
import { parseJson } from './parse-json.ts';
import { defineRoute, type Route } from './route.ts';
import { validate } from './validate.ts';

/** What the routes of jobs speak to. */
export interface JobRouteOptions {
  readonly namespaces: NamespaceRegistry;
  readonly jobs: Jobs;
  readonly logs: LogBook;
  /** Largest body of a submit, with all inputs. */
  readonly submitMaxBytes: number;
}

const PATH = '/v1/namespaces/{namespace}/jobs';
const jobParams = z.strictObject({ namespace: nameSchema, id: nameSchema });
const taskParams = z.strictObject({ namespace: nameSchema, id: nameSchema, index: z.coerce.number().int().min(0) });
const NOT_FOUND = ['NAMESPACE_NOT_FOUND', 'JOB_NOT_FOUND'] as const;
const SUBMIT_ERRORS = [
  'NAMESPACE_NOT_FOUND',
  'JOB_DEPENDENCY_INVALID',
  'SECRET_NOT_FOUND',
  'FUNCTION_NOT_FOUND',
  'UNSUPPORTED_BY_ENGINE',
  'IMAGE_NOT_FOUND',
  'IMAGE_REFUSED',
  'ENGINE_UNAVAILABLE',
  'ENGINE_TIMEOUT',
  'ENGINE_FAILED',
  'STORE_FAILED',
] as const;
const flag = z.stringbool().default(false);

/** Routes of batch jobs. */
export function jobRoutes(options: JobRouteOptions): readonly Route[] {
  return [...submitRoutes(options), ...readRoutes(options), ...taskRoutes(options), ...changeRoutes(options)];
}

function submitRoutes({ namespaces, jobs, submitMaxBytes }: JobRouteOptions): readonly Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: PATH,
      scope: 'jobs:write',
      operation: 'submitJobs',
      summary: 'Accepts jobs, all or none; on disk when this is answered.',
      params: namespaceParams,
      body: jsonBody(submitJobsSchema, submitMaxBytes),
      answer: {
        kind: 'json',
        status: 202,
        schema: z.array(jobResourceSchema),
        description: 'The jobs, in the order they were sent.',
      },
      errors: SUBMIT_ERRORS,
      handle({ params, body, signal }) {
        requireNamespace(namespaces, params.namespace);
        return jobs.submit(params.namespace, body.jobs, signal);
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/v1/namespaces/{namespace}/job-streams',
      scope: 'jobs:write',
      operation: 'streamJob',
      summary:
        'Runs a job of one task: the body is its standard input, the answer what it writes, in pieces as docs/jobs.md describes. It is cancelled when the client goes away.',
      params: namespaceParams,
      query: z.strictObject({
        name: nameSchema.optional().describe('What the job is called.'),
        spec: z.string().max(24_576).describe('The spec of the job, as JSON.'),
      }),
      body: streamedBody,
      answer: { kind: 'bytes', description: 'Pieces of standard output and error, and how the job ended.' },
      errors: SUBMIT_ERRORS,
      handle({ params, query, body, signal }) {
        requireNamespace(namespaces, params.namespace);
        const written = parseJson(Buffer.from(query.spec));
        const spec = validate(jobSpecSchema, written, 'the spec');
        return jobs.stream(params.namespace, { ...(query.name && { name: query.name }), spec }, body, signal);
      },
    }),
  ];
}

/** A body that is handed on as it comes, however slowly. */
const streamedBody: Body<AsyncIterable<Uint8Array>> = {
  content: { 'application/octet-stream': 'bytes' },
  read: (request) => Promise.resolve(request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>),
};

function readRoutes({ namespaces, jobs, logs }: JobRouteOptions): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: PATH,
      scope: 'jobs:read',
      operation: 'listJobs',
      summary: 'The jobs of a namespace, newest first.',
      params: namespaceParams,
      query: jobQuerySchema,
      answer: { kind: 'json', schema: z.array(jobResourceSchema), description: 'The jobs.' },
      errors: ['NAMESPACE_NOT_FOUND'],
      handle({ params, query }) {
        requireNamespace(namespaces, params.namespace);
        return jobs.list(params.namespace, query);
      },
    }),
    defineRoute({
      method: 'GET',
      path: `${PATH}/{id}`,
      scope: 'jobs:read',
      operation: 'getJob',
      summary: 'A job as it stands.',
      params: jobParams,
      answer: { kind: 'json', schema: jobResourceSchema, description: 'The job.' },
      errors: NOT_FOUND,
      handle: ({ params }) => jobs.get(params.namespace, params.id),
    }),
    defineRoute({
      method: 'GET',
      path: `${PATH}/{id}/watch`,
      scope: 'jobs:read',
      operation: 'watchJob',
      summary: 'A job as it stands, again after changes, until it has ended.',
      params: jobParams,
      answer: { kind: 'lines', schema: jobResourceSchema, description: 'The job, once a line.' },
      errors: NOT_FOUND,
      handle({ params, signal }) {
        jobs.get(params.namespace, params.id);
        return jobs.watch(params.namespace, params.id, signal);
      },
    }),
    defineRoute({
      method: 'GET',
      path: `${PATH}/{id}/logs`,
      scope: 'jobs:read',
      operation: 'readJobLogs',
      summary: 'What the tasks of a job wrote, and what the platform says about them, oldest first.',
      params: jobParams,
      query: logQuerySchema
        .omit({ callId: true, instance: true })
        .extend({ task: z.coerce.number().int().min(0).optional().describe('Only lines of this task.') }),
      answer: { kind: 'lines', schema: logLineSchema, description: 'One line of the log per line of JSON.' },
      errors: NOT_FOUND,
      handle({ params, query, signal }) {
        const { id, namespace } = jobs.get(params.namespace, params.id);
        const { task, ...rest } = query;
        const callId = task === undefined ? undefined : `${id}.${task}`;
        return logs.read({ namespace, name: id }, { ...rest, ...(callId === undefined ? {} : { callId }) }, signal);
      },
    }),
  ];
}

function taskRoutes({ jobs }: JobRouteOptions): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: `${PATH}/{id}/tasks`,
      scope: 'jobs:read',
      operation: 'listTasks',
      summary: 'The tasks of a job, by index.',
      params: jobParams,
      query: taskQuerySchema,
      answer: { kind: 'json', schema: z.array(taskResourceSchema), description: 'The tasks.' },
      errors: [...NOT_FOUND, 'STORE_FAILED'],
      handle: ({ params, query }) => jobs.tasks(params.namespace, params.id, query),
    }),
    defineRoute({
      method: 'GET',
      path: `${PATH}/{id}/tasks/{index}/result`,
      scope: 'jobs:read',
      operation: 'getTaskResult',
      summary: 'What a task wrote to standard output, or its function answered.',
      params: taskParams,
      answer: { kind: 'body', description: 'The bytes.' },
      errors: [...NOT_FOUND, 'TASK_NOT_FOUND', 'TASK_RESULT_NOT_FOUND', 'STORE_FAILED'],
      handle: ({ params }) => jobs.result(params.namespace, params.id, params.index),
    }),
  ];
}

function changeRoutes({ jobs }: JobRouteOptions): readonly Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: `${PATH}/{id}/cancel`,
      scope: 'jobs:write',
      operation: 'cancelJob',
      summary: 'Begins no more tasks and stops those that run.',
      params: jobParams,
      answer: { kind: 'json', schema: jobResourceSchema, description: 'The job as it now stands.' },
      errors: [...NOT_FOUND, 'JOB_ENDED', 'STORE_FAILED'],
      handle: ({ params }) => jobs.cancel(params.namespace, params.id),
    }),
    defineRoute({
      method: 'POST',
      path: `${PATH}/{id}/rerun`,
      scope: 'jobs:write',
      operation: 'rerunJob',
      summary: 'Submits a job that has ended again; with `failed` the results of tasks that succeeded are kept.',
      params: jobParams,
      query: z.strictObject({ failed: flag.describe('Make only those tasks again that did not succeed.') }),
      answer: { kind: 'json', status: 202, schema: jobResourceSchema, description: 'The new job.' },
      errors: [...SUBMIT_ERRORS, 'JOB_NOT_FOUND', 'JOB_NOT_ENDED', 'NOTHING_TO_RERUN'],
      handle: ({ params, query }) => jobs.rerun(params.namespace, params.id, { failedOnly: query.failed }),
    }),
    defineRoute({
      method: 'DELETE',
      path: `${PATH}/{id}`,
      scope: 'jobs:write',
      operation: 'deleteJob',
      summary: 'Forgets a job that has ended, with its results, log and containers.',
      params: jobParams,
      answer: { kind: 'nothing', description: 'The job is gone.' },
      errors: [...NOT_FOUND, 'JOB_NOT_ENDED', 'STORE_FAILED'],
      handle: ({ params }) => jobs.remove(params.namespace, params.id),
    }),
  ];
}

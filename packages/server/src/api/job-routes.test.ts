import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JobResource, TaskResource } from '@ebb/contract';
import { startApi } from '../../../../testing/harness/api.ts';

const NS = '/v1/namespaces/openfaas-fn';
let server: Awaited<ReturnType<typeof startApi>>;

beforeAll(async () => {
  server = await startApi();
  await server.send('PUT', `${NS}/functions/shout`, { spec: { image: 'shout:1' } });
  await server.send('PUT', '/v1/namespaces/other');
});
afterAll(() => server.stop());

const submit = async (spec: unknown, name?: string) => {
  const response = await server.send('POST', `${NS}/jobs`, { jobs: [{ spec, ...(name && { name }) }] });
  return {
    status: response.status,
    body: (await response.json()) as JobResource[] & { code: string; message: string },
  };
};
const get = async <T>(path: string) => (await (await server.send('GET', path)).json()) as T;
/** Follows a job to its end by what the API streams. */
const ended = async (id: string): Promise<JobResource> => {
  const text = await (await server.send('GET', `${NS}/jobs/${id}/watch`)).text();
  const [last = ''] = text.trim().split('\n').slice(-1);
  return JSON.parse(last) as JobResource;
};

describe('jobs over the API', () => {
  test('are accepted with 202, watched to their end, and tell tasks, results and logs', async () => {
    const { status, body } = await submit({ function: 'shout', inputs: ['a', 'b'] }, 'loud');
    expect(status).toBe(202);
    const id = body[0]?.id ?? '';
    expect(id).toMatch(/^loud-[0-9a-f]{8}$/);
    expect(await ended(id)).toMatchObject({ state: 'succeeded', tasks: { succeeded: 2 }, count: 2 });
    expect(await get<TaskResource[]>(`${NS}/jobs/${id}/tasks?from=1`)).toMatchObject([
      { index: 1, state: 'succeeded', attempt: 1, result: { sizeBytes: 1, contentType: 'text/plain' } },
    ]);
    const result = await server.send('GET', `${NS}/jobs/${id}/tasks/1/result`);
    expect([await result.text(), result.headers.get('content-type')]).toEqual(['b', 'text/plain']);
    expect((await get<JobResource[]>(`${NS}/jobs?name=loud`)).map((job) => job.id)).toEqual([id]);
    expect((await server.send('GET', `${NS}/jobs/${id}/logs`)).status).toBe(200);
    expect((await server.send('DELETE', `${NS}/jobs/${id}`)).status).toBe(204);
    expect((await server.send('GET', `${NS}/jobs/${id}`)).status).toBe(404);
  });

  test('T3: one of another namespace does not exist', async () => {
    const { body } = await submit({ function: 'shout' });
    const id = body[0]?.id ?? '';
    await ended(id);
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/tasks'],
      ['GET', '/tasks/0/result'],
      ['GET', '/watch'],
      ['POST', '/cancel'],
      ['POST', '/rerun'],
      ['DELETE', ''],
    ] as const) {
      const response = await server.send(method, `/v1/namespaces/other/jobs/${id}${path}`);
      expect(await response.json()).toMatchObject({ code: 'JOB_NOT_FOUND' });
    }
  });

  test('are refused with what is wrong and what to do', async () => {
    expect((await submit({ function: 'shout', taks: 3 })).body).toMatchObject({ code: 'UNKNOWN_FIELD' });
    expect((await submit({ function: 'nobody' })).body).toMatchObject({ code: 'FUNCTION_NOT_FOUND' });
    expect((await submit({ image: 'debian' })).body).toMatchObject({ code: 'UNSUPPORTED_BY_ENGINE' });
    expect((await submit({ function: 'shout', after: ['nothing'] })).body).toMatchObject({
      code: 'JOB_DEPENDENCY_INVALID',
      message: expect.stringContaining('"nothing"') as string,
    });
    const { body } = await submit({ function: 'shout' });
    const id = body[0]?.id ?? '';
    await ended(id);
    expect(await get(`${NS}/jobs/${id}/tasks/7/result`)).toMatchObject({ code: 'TASK_NOT_FOUND' });
    const again = await server.send('POST', `${NS}/jobs/${id}/rerun?failed=true`);
    expect(await again.json()).toMatchObject({ code: 'NOTHING_TO_RERUN' });
    expect(await (await server.send('POST', `${NS}/jobs/${id}/cancel`)).json()).toMatchObject({ code: 'JOB_ENDED' });
  });

  test('of one submit are accepted all or none', async () => {
    const before = (await get<JobResource[]>(`${NS}/jobs`)).length;
    const jobs = [
      { name: 'a', spec: { function: 'shout' } },
      { name: 'b', spec: { function: 'nobody' } },
    ];
    expect((await server.send('POST', `${NS}/jobs`, { jobs })).status).toBe(404);
    expect(await get<JobResource[]>(`${NS}/jobs`)).toHaveLength(before);
  });
});

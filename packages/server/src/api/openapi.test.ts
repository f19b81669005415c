import { readFile } from 'node:fs/promises';
import {
  CALL_ID_HEADER,
  CALLBACK_HEADER,
  DELAY_HEADER,
  ERRORS,
  IDEMPOTENCY_KEY_HEADER,
  KEY_HEADER,
  MAX_AGE_HEADER,
  PRIORITY_HEADER,
  RUN_AT_HEADER,
} from '@ebb/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApi } from '../../../../testing/harness/api.ts';
import { ASYNC_CANCEL, ASYNC_DOOR } from './describe-async-door.ts';
import { errorsOf } from './openapi.ts';
import type { Route } from './route.ts';

interface Operation {
  readonly operationId: string;
  readonly security?: readonly unknown[];
  readonly parameters: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly description?: string;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, unknown>> };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: unknown }>>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

let server: Awaited<ReturnType<typeof startApi>>;
let document: Document;
beforeAll(async () => {
  server = await startApi();
  document = (await (await fetch(`${server.url}/v1/openapi.json`)).json()) as Document;
});
afterAll(() => server.stop());

/** Every `$ref` anywhere in a value. */
function refsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === '$ref' && typeof inner === 'string' ? [inner] : refsIn(inner),
  );
}

test('docs/api.md lists exactly the routes there are, with their scopes', async () => {
  const page = await readFile(new URL('../../../../docs/api.md', import.meta.url), 'utf8');
  const rows = page.matchAll(/^\| `([A-Z]+)` \| `(\S+)` \| `?([a-z:]+)`? \|/gm);
  expect([...rows].map(([, method, path, scope]) => `${method} ${path} ${scope}`)).toEqual(
    server.api.routes.map((one) => `${one.method} ${one.path} ${one.scope}`),
  );
});

describe('the OpenAPI document', () => {
  test('describes exactly the routes that are served', () => {
    expect(document.openapi).toBe('3.1.0');
    const described = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const served = [...server.api.routes, ASYNC_DOOR, ASYNC_CANCEL];
    expect(described.toSorted()).toEqual(served.map((one) => `${one.method} ${one.path}`).toSorted());
    const ids = served.map((one) => one.operation);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('names the parameters, bodies, answers and errors of every route', () => {
    for (const route of server.api.routes) {
      const operation = document.paths[route.path]?.[route.method.toLowerCase()];
      const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      expect(operation?.parameters.filter((one) => one.in === 'path').map((one) => one.name)).toEqual(inPath);
      expect(operation?.parameters.filter((one) => one.in === 'path').every((one) => one.required)).toBe(true);
      expect(Object.keys(operation?.requestBody?.content ?? {})).toEqual(Object.keys(route.body?.content ?? {}));
      for (const { name, description } of operation?.parameters ?? []) {
        expect(description, `${name} of ${route.path}`).toEqual(expect.any(String));
      }
      expect(operation?.security).toEqual(route.scope === 'open' ? [] : undefined);
      expect(Object.keys(operation?.responses ?? {})).toContain(successOf(route));
      for (const code of errorsOf(route)) {
        expect(operation?.responses[String(ERRORS[code].status)]?.description).toContain(code);
      }
    }
  });

  test('names what a submit under /async-function/ may say and is answered', () => {
    const submit = document.paths['/async-function/{name}']?.['post'];
    expect(submit?.parameters.map(({ name }) => name).toSorted()).toEqual(
      [
        'name',
        CALL_ID_HEADER,
        CALLBACK_HEADER,
        DELAY_HEADER,
        IDEMPOTENCY_KEY_HEADER,
        KEY_HEADER,
        MAX_AGE_HEADER,
        PRIORITY_HEADER,
        RUN_AT_HEADER,
      ].toSorted(),
    );
    expect(Object.keys(submit?.responses ?? {})).toEqual(
      expect.arrayContaining(['202', '400', '401', '404', '413', '422', '429', '503', '507']),
    );
    expect(submit?.responses['422']?.description).toContain('IDEMPOTENCY_MISMATCH');
  });

  test('refers only to schemas it holds, and repeats none of the large ones', () => {
    for (const ref of refsIn(document)) {
      expect(Object.keys(document.components.schemas)).toContain(ref.replace('#/components/schemas/', ''));
    }
    expect(document.paths['/v1/namespaces/{namespace}/functions/{name}']?.['put']).toMatchObject({
      parameters: expect.arrayContaining([expect.objectContaining({ name: 'probe', in: 'query', required: false })]),
      responses: { 200: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Deploy' } } } } },
    });
  });
});

function successOf({ answer }: Route): string {
  if (answer.kind === 'nothing') return '204';
  return answer.kind === 'json' ? String(answer.status ?? 200) : '200';
}

import {
  aliasResourceSchema,
  codeResourceSchema,
  deployResourceSchema,
  type ErrorCode,
  ERRORS,
  findingSchema,
  functionResourceSchema,
  healthResourceSchema,
  instanceResourceSchema,
  jobResourceSchema,
  invocationResourceSchema,
  logLineSchema,
  namespaceResourceSchema,
  secretResourceSchema,
  taskResourceSchema,
  versionDiffSchema,
  versionInfoSchema,
  versionResourceSchema,
} from '@ebb/contract';
import { z } from 'zod';
import {
  ASYNC_CANCEL_ERRORS,
  ASYNC_DOOR,
  ASYNC_DOOR_ERRORS,
  describeAsyncCancel,
  describeAsyncDoor,
} from './describe-async-door.ts';
import type { Route } from './route.ts';

type Json = Readonly<Record<string, unknown>>;

/** What the API answers with, by the name it has in the document. */
const COMPONENTS: Readonly<Record<string, z.ZodType>> = {
  Alias: aliasResourceSchema,
  Code: codeResourceSchema,
  Deploy: deployResourceSchema,
  Finding: findingSchema,
  Function: functionResourceSchema,
  Health: healthResourceSchema,
  Instance: instanceResourceSchema,
  Job: jobResourceSchema,
  Invocation: invocationResourceSchema,
  LogLine: logLineSchema,
  Namespace: namespaceResourceSchema,
  Secret: secretResourceSchema,
  Task: taskResourceSchema,
  Version: versionResourceSchema,
  VersionDiff: versionDiffSchema,
  VersionInfo: versionInfoSchema,
};

const errorBodySchema = z.object({
  code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
  message: z.string().describe('One sentence for a person.'),
  component: z.string(),
  callId: z.string(),
  logs: z.array(z.string()).optional().describe('Last lines of an instance that did not start.'),
});

/**
 * Builds the OpenAPI 3.1 document of all routes from the schemas that check their inputs, and of the way in for
 * asynchronous calls.
 */
export function buildOpenApi(routes: readonly Route[], version: string): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    const path = (paths[route.path] ??= {});
    path[route.method.toLowerCase()] = operationOf(route);
  }
  paths[ASYNC_DOOR.path] = {
    post: described(describeAsyncDoor(), ASYNC_DOOR_ERRORS),
    delete: described(describeAsyncCancel(), ASYNC_CANCEL_ERRORS),
  };
  const schemas = Object.entries({ ...COMPONENTS, Error: errorBodySchema }).map(([name, schema]) => [
    name,
    jsonSchema(schema, 'output'),
  ]);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Ebb control API',
      version,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{ bearer: [] }, { basic: [] }],
    paths,
    components: {
      schemas: Object.fromEntries(schemas),
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        basic: { type: 'http', scheme: 'basic' },
      },
    },
  };
}

/** Every error a route can answer: its own, and those of its scope and its inputs. */
export function errorsOf(route: Route): readonly ErrorCode[] {
  const codes = new Set<ErrorCode>(['INVALID_REQUEST', 'UNKNOWN_FIELD', 'INTERNAL', ...(route.errors ?? [])]);
  if (route.scope !== 'open') codes.add('UNAUTHENTICATED').add('TOO_MANY_ATTEMPTS');
  if (route.body) codes.add('UNSUPPORTED_MEDIA_TYPE').add('PAYLOAD_TOO_LARGE');
  return [...codes];
}

function operationOf(route: Route): Json {
  return {
    operationId: route.operation,
    summary: route.summary,
    ...(route.scope === 'open' ? { security: [] } : { 'x-ebb-scope': route.scope }),
    parameters: [...parametersOf(route.params, 'path', route.path), ...parametersOf(route.query, 'query')],
    ...(route.body && { requestBody: { required: true, content: contentOf(route.body.content) } }),
    responses: { ...answerOf(route), ...errorAnswersOf(errorsOf(route)) },
  };
}

function described({ responses, ...rest }: Json, errors: readonly ErrorCode[]): Json {
  return { ...rest, responses: { ...(responses as Json), ...errorAnswersOf(errors) } };
}

/** What is named by the part of a path that follows a word. */
const NAMED_BY: Readonly<Record<string, string>> = {
  namespaces: 'Name of the namespace.',
  functions: 'Name of the function.',
  versions: 'Number of the version.',
  aliases: 'Name of the alias.',
  secrets: 'Name of the secret.',
  invocations: 'Id of the call.',
  'dead-letters': 'Id of the call.',
  jobs: 'Id of the job.',
  tasks: 'Index of the task, from 0.',
  queues: 'Name of the queue.',
};

function parametersOf(schema: z.ZodType | undefined, place: 'path' | 'query', path = ''): Json[] {
  if (!schema) return [];
  const { properties = {}, required = [] } = jsonSchema(schema, 'input') as {
    properties?: Record<string, Record<string, unknown>>;
    required?: string[];
  };
  const parts = path.split('/');
  return Object.entries(properties).map(([name, { description: said, ...property }]) => {
    const description = said ?? NAMED_BY[parts[parts.indexOf(`{${name}}`) - 1] ?? ''];
    return {
      name,
      in: place,
      required: required.includes(name),
      ...(description !== undefined && { description }),
      schema: property,
    };
  });
}

function contentOf(content: NonNullable<Route['body']>['content']): Json {
  const entries = Object.entries(content).map(([type, schema]) => [
    type,
    schema === 'bytes' ? {} : { schema: jsonSchema(schema, 'input') },
  ]);
  return Object.fromEntries(entries) as Json;
}

function answerOf({ answer }: Route): Json {
  const headers = { 'X-Call-Id': { schema: { type: 'string' }, description: 'Id of this request.' } };
  if (answer.kind === 'nothing') return { 204: { description: answer.description, headers } };
  if (answer.kind === 'bytes') {
    return { 200: { description: answer.description, headers, content: { 'application/octet-stream': {} } } };
  }
  if (answer.kind === 'body') return { 200: { description: answer.description, headers, content: { '*/*': {} } } };
  const type = answer.kind === 'lines' ? 'application/x-ndjson' : 'application/json';
  const status = answer.kind === 'json' ? (answer.status ?? 200) : 200;
  return {
    [status]: { description: answer.description, headers, content: { [type]: { schema: refer(answer.schema) } } },
  };
}

function errorAnswersOf(errors: readonly ErrorCode[]): Json {
  const byStatus = Map.groupBy(errors, (code) => ERRORS[code].status);
  const answers = [...byStatus].map(([status, codes]) => [
    status,
    {
      description: codes.map((code) => `${code}: ${ERRORS[code].description}`).join('\n\n'),
      content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
    },
  ]);
  return Object.fromEntries(answers) as Json;
}

/** A reference to a component, or to a list of one, instead of the whole schema again. */
function refer(schema: z.ZodType): Json {
  if (schema instanceof z.ZodArray) return { type: 'array', items: refer(schema.element as z.ZodType) };
  const name = Object.keys(COMPONENTS).find((key) => COMPONENTS[key] === schema);
  return name === undefined ? jsonSchema(schema, 'output') : { $ref: `#/components/schemas/${name}` };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}

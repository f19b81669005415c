import {
  diffQuerySchema,
  diffSpecs,
  functionResourceSchema,
  publishRequestSchema,
  rollbackQuerySchema,
  versionDiffSchema,
  versionNumberSchema,
  type VersionDiff,
  versionResourceSchema,
} from '@ebb/contract';
import { z } from 'zod';
import type { CodeStore, FunctionRegistry, InstanceDirectory, NamespaceRegistry, Version } from '../core/ports.ts';
import { jsonBody } from './body.ts';
import { showFunction, showVersion } from './function-resource.ts';
import { FUNCTION_NOT_FOUND, FUNCTION_PATH, functionParams, requireFunction } from './require-function.ts';
import { defineRoute, type Route } from './route.ts';

/** What the routes of versions need. */
export interface VersionRouteOptions {
  readonly namespaces: NamespaceRegistry;
  readonly registry: FunctionRegistry;
  readonly instances: InstanceDirectory;
  readonly code: Pick<CodeStore, 'compare'>;
  readonly bodyMaxBytes: number;
}

const versionParams = functionParams.extend({ version: z.coerce.number().pipe(versionNumberSchema) });
const PATH = `${FUNCTION_PATH}/versions/{version}`;
const NOT_FOUND = [...FUNCTION_NOT_FOUND, 'VERSION_NOT_FOUND', 'STORE_FAILED'] as const;

/** Routes of the versions of a function, and the way back to an earlier one. */
export function versionRoutes(options: VersionRouteOptions): readonly Route[] {
  return [...readRoutes(options), ...writeRoutes(options)];
}

function readRoutes(options: VersionRouteOptions): readonly Route[] {
  const { registry, code } = options;
  return [
    defineRoute({
      method: 'GET',
      path: `${FUNCTION_PATH}/versions`,
      scope: 'functions:read',
      operation: 'listVersions',
      summary: 'The versions of a function, newest first.',
      params: functionParams,
      answer: { kind: 'json', schema: z.array(versionResourceSchema), description: 'The versions.' },
      errors: [...FUNCTION_NOT_FOUND, 'STORE_FAILED'],
      async handle({ params }) {
        const record = requireFunction(options, params);
        const [versions, notes] = await Promise.all([
          registry.versions(params.namespace, params.name),
          registry.notes(params.namespace, params.name),
        ]);
        return versions.map((version) => showVersion(version, record, notes.get(version.version)));
      },
    }),
    defineRoute({
      method: 'GET',
      path: PATH,
      scope: 'functions:read',
      operation: 'getFunctionVersion',
      summary: 'One version of a function.',
      params: versionParams,
      answer: { kind: 'json', schema: versionResourceSchema, description: 'The version.' },
      errors: NOT_FOUND,
      handle: ({ params }) => show(options, params),
    }),
    defineRoute({
      method: 'GET',
      path: `${PATH}/diff`,
      scope: 'functions:read',
      operation: 'compareVersions',
      summary: 'What differs between two versions: fields of the spec, files of the code, what is behind the image.',
      params: versionParams,
      query: diffQuerySchema,
      answer: { kind: 'json', schema: versionDiffSchema, description: 'What differs.' },
      errors: [...NOT_FOUND, 'CODE_NOT_FOUND'],
      async handle({ params, query }) {
        const { namespace, name, version } = params;
        const { live } = requireFunction(options, params);
        const before = await registry.version(namespace, name, version);
        const after = query.to === undefined ? live : await registry.version(namespace, name, query.to);
        return compare(before, after, code);
      },
    }),
  ];
}

function writeRoutes(options: VersionRouteOptions): readonly Route[] {
  const { registry, instances, bodyMaxBytes } = options;
  return [
    defineRoute({
      method: 'POST',
      path: `${PATH}/publish`,
      scope: 'functions:write',
      operation: 'publishVersion',
      summary: 'Says what a version is, and may point an alias at it; the version itself stays as it is.',
      params: versionParams,
      body: jsonBody(publishRequestSchema, bodyMaxBytes),
      answer: { kind: 'json', schema: versionResourceSchema, description: 'The version.' },
      errors: [...NOT_FOUND, 'ALIAS_NAME_INVALID', 'SECRET_NOT_FOUND'],
      async handle({ params, body }) {
        requireFunction(options, params);
        await registry.publish(params.namespace, params.name, params.version, body);
        return show(options, params);
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: PATH,
      scope: 'functions:write',
      operation: 'deleteVersion',
      summary: 'Removes a version that no alias names, no rollback goes back to and of which nothing runs.',
      params: versionParams,
      answer: { kind: 'nothing', description: 'The version is gone.' },
      errors: [...NOT_FOUND, 'VERSION_IN_USE'],
      async handle({ params }) {
        requireFunction(options, params);
        await registry.removeVersion(params.namespace, params.name, params.version);
      },
    }),
    defineRoute({
      method: 'POST',
      path: `${FUNCTION_PATH}/rollback`,
      scope: 'functions:write',
      operation: 'rollBackFunction',
      summary:
        'Gives every call of the bare name to the version that had them before, or to the one named, at once. A second time leads forward again.',
      params: functionParams,
      query: rollbackQuerySchema,
      answer: { kind: 'json', schema: functionResourceSchema, description: 'The function as it now serves.' },
      errors: [...NOT_FOUND, 'NOTHING_TO_ROLL_BACK', 'SECRET_NOT_FOUND'],
      async handle({ params, query }) {
        requireFunction(options, params);
        return showFunction(await registry.rollback(params.namespace, params.name, query.to), instances);
      },
    }),
  ];
}

async function show(options: VersionRouteOptions, params: z.output<typeof versionParams>) {
  const { namespace, name, version: number } = params;
  const record = requireFunction(options, params);
  const version = await options.registry.version(namespace, name, number);
  const notes = await options.registry.notes(namespace, name);
  return showVersion(version, record, notes.get(number));
}

async function compare(before: Version, after: Version, code: Pick<CodeStore, 'compare'>): Promise<VersionDiff> {
  const isOther = before.imageDigest !== after.imageDigest;
  return {
    from: before.version,
    to: after.version,
    fields: [...diffSpecs(before.spec, after.spec)],
    ...(before.code !== undefined &&
      after.code !== undefined && { files: await code.compare(before.code, after.code) }),
    ...(isOther && {
      imageDigest: {
        ...(before.imageDigest !== undefined && { before: before.imageDigest }),
        ...(after.imageDigest !== undefined && { after: after.imageDigest }),
      },
    }),
  };
}

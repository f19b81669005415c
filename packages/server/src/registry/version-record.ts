import { aliasSpecSchema, type FunctionSpec, functionSpecSchema, resolveLimits, versionKey } from '@ebb/contract';
import { z } from 'zod';
import { EbbError } from '../core/errors.ts';
import type { FunctionRecord, Version, VersionNote } from '../core/ports.ts';
import type { Entry } from '../store/key-value.ts';
import { liveAlias, makeRecord } from './function-record.ts';
import { FUNCTIONS } from './store-keys.ts';

const versionSchema = z.object({
  version: z.number().int().positive(),
  digest: z.string(),
  // A spec of an older server gets the defaults of fields that are new since.
  spec: functionSpecSchema,
  code: z.string().optional(),
  imageDigest: z.string().optional(),
  createdAt: z.number(),
});

const aliasSchema = z.object({ name: z.string(), spec: aliasSpecSchema, updatedAt: z.number() });

const functionSchema = z.object({
  live: versionSchema,
  // A function of an older server has one alias, `live`.
  aliases: z.array(aliasSchema).optional(),
  others: z.array(versionSchema).default([]),
  before: z.number().optional(),
  replicas: z.object({ count: z.number().int().min(0), askedAt: z.number() }).optional(),
  createdAt: z.number(),
  updatedAt: z.number(),
});

const noteSchema = z.object({ description: z.string().optional(), publishedAt: z.number() });

const outlineSchema = z.object({
  version: z.number(),
  digest: z.string(),
  code: z.string().optional(),
  createdAt: z.number(),
});

/** What can be told of a stored version without reading its spec. */
export type VersionOutline = z.output<typeof outlineSchema>;

/** The parts of a version that are not derived from others. */
export interface VersionFacts {
  readonly version: number;
  readonly digest: string;
  readonly spec: FunctionSpec;
  readonly code?: string | undefined;
  readonly imageDigest?: string | undefined;
  readonly createdAt: number;
}

/** Builds a version; what it holds is its own, so a caller's later change of the spec does not reach it (V1). */
export function makeVersion(namespace: string, name: string, facts: VersionFacts): Version {
  const spec = structuredClone(facts.spec);
  return Object.freeze({
    key: versionKey(namespace, name, facts.version),
    namespace,
    name,
    version: facts.version,
    digest: facts.digest,
    spec,
    limits: Object.freeze(resolveLimits(spec)),
    ...(facts.code === undefined ? {} : { code: facts.code }),
    ...(facts.imageDigest === undefined ? {} : { imageDigest: facts.imageDigest }),
    createdAt: facts.createdAt,
  });
}

/** The text a version is stored as. */
export function versionText(version: Version): string {
  return JSON.stringify(facts(version));
}

/** The text a function is stored as; it carries the versions that serve, so that a start reads one range. */
export function functionText(record: FunctionRecord): string {
  const { live, aliases, versions, before, replicas, createdAt, updatedAt } = record;
  const others = versions.filter((version) => version !== live).map(facts);
  return JSON.stringify({ live: facts(live), aliases, others, before, replicas, createdAt, updatedAt });
}

/** Reads a stored version. Throws STORE_FAILED. */
export function parseVersion(namespace: string, name: string, entry: Entry): Version {
  return makeVersion(namespace, name, parse(versionSchema, entry));
}

/** Reads a stored function. Throws STORE_FAILED. */
export function parseFunction(entry: Entry): FunctionRecord {
  const [namespace = '', name = ''] = entry.key.slice(FUNCTIONS.length).split('/');
  const { live, others, aliases, before, replicas, createdAt, updatedAt } = parse(functionSchema, entry);
  const own = aliases ?? [liveAlias(live.version, undefined, updatedAt)];
  const versions = [live, ...others].map((one) => makeVersion(namespace, name, one));
  try {
    return makeRecord({ namespace, name, aliases: own, before, replicas, createdAt, updatedAt }, versions);
  } catch (cause) {
    throw unreadable(entry, cause);
  }
}

/** Reads of a stored version what is not its spec. Throws STORE_FAILED. */
export function parseOutline(entry: Entry): VersionOutline {
  return parse(outlineSchema, entry);
}

/** The text that what was said of a version is stored as. */
export function noteText({ description, publishedAt }: VersionNote): string {
  return JSON.stringify({ description, publishedAt });
}

/** Reads what was said of a version. Throws STORE_FAILED. */
export function parseNote(entry: Entry): VersionNote {
  const { description, publishedAt } = parse(noteSchema, entry);
  return { publishedAt, ...(description === undefined ? {} : { description }) };
}

function facts({ version, digest, spec, code, imageDigest, createdAt }: Version): VersionFacts {
  return { version, digest, spec, code, imageDigest, createdAt };
}

function parse<T>(schema: z.ZodType<T>, entry: Entry): T {
  try {
    return schema.parse(JSON.parse(entry.value));
  } catch (cause) {
    throw unreadable(entry, cause);
  }
}

function unreadable({ key }: Entry, cause: unknown): EbbError {
  const message = `the stored record "${key}" cannot be read by this version of Ebb; start the version that wrote it, or put back a backup`;
  return new EbbError('STORE_FAILED', message, { cause });
}

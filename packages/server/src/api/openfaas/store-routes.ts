import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { OpenFaasAnswer, OpenFaasRoute } from './openfaas-route.ts';

/** What the routes of the stores are made with. */
export interface StoreRoutesOptions {
  /** Folder with `functions.json` and `templates.json`, or one such file; without it no store is served. */
  readonly place: string | undefined;
}

/** A store larger than this is none: clients read it whole. */
const MOST_BYTES = 4 * 2 ** 20;

/** The store of functions as clients read it; further fields are left as they are. */
const functionStoreSchema = z.looseObject({
  version: z.string().min(1),
  functions: z.array(
    z.looseObject({
      name: z.string().min(1),
      title: z.string(),
      description: z.string(),
      images: z.record(z.string(), z.string().min(1)),
      icon: z.string().optional(),
      author: z.string().optional(),
      fprocess: z.string().optional(),
      repo_url: z.string().optional(),
      readOnlyRootFilesystem: z.boolean().optional(),
      environment: z.record(z.string(), z.string()).optional(),
      labels: z.record(z.string(), z.string()).optional(),
      annotations: z.record(z.string(), z.string()).optional(),
    }),
  ),
});

/** The store of templates as clients read it; further fields are left as they are. */
const templateStoreSchema = z.array(
  z.looseObject({
    template: z.string().min(1),
    platform: z.string().min(1),
    language: z.string().min(1),
    source: z.string().min(1),
    description: z.string(),
    repo: z.string().optional(),
    official: z.enum(['true', 'false']).optional(),
    recommended: z.boolean().optional(),
  }),
);

/**
 * The stores that clients read with `--url`, from files that whoever runs the server keeps, so that they work without the
 * internet. They are open, since clients send no credentials to a store, and read anew for each request: what is changed
 * in a file shows at once. A file that clients could not read is answered with 500 and what is wrong with it.
 */
export function storeRoutes({ place }: StoreRoutesOptions): readonly OpenFaasRoute[] {
  const serve = (file: string, schema: z.ZodType): OpenFaasRoute => ({
    method: 'GET',
    path: `/store/${file}`,
    scope: 'open',
    run: () => readStore(place, file, schema),
  });
  return [serve('functions.json', functionStoreSchema), serve('templates.json', templateStoreSchema)];
}

async function readStore(place: string | undefined, file: string, schema: z.ZodType): Promise<OpenFaasAnswer> {
  if (place === undefined) {
    return { status: 404, text: 'no store is served here: set "storeFiles" to a folder that has it\n' };
  }
  const path = (await stat(place).catch(() => undefined))?.isDirectory() === true ? join(place, file) : place;
  // A single file is the store it is named like, or that of functions.
  const isMeant =
    path !== place || place.endsWith(file) || (file === 'functions.json' && !place.endsWith('templates.json'));
  const bytes = isMeant ? await readFile(path).catch(() => undefined) : undefined;
  if (!bytes) return { status: 404, text: `there is no ${file} in what "storeFiles" names\n` };
  const fault =
    bytes.length > MOST_BYTES ? `it is larger than ${MOST_BYTES} bytes` : faultOf(bytes.toString('utf8'), schema);
  if (fault !== undefined) return { status: 500, text: `${file} is no store: ${fault}\n` };
  return { status: 200, headers: { 'content-type': 'application/json' }, text: bytes.toString('utf8') };
}

/** What is wrong with the text of a store; undefined when clients can read it. */
function faultOf(text: string, schema: z.ZodType): string | undefined {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    return `it is not valid JSON (${error instanceof Error ? error.message : String(error)})`;
  }
  const issue = schema.safeParse(content).error?.issues[0];
  return issue && `"${issue.path.join('.')}" ${issue.message}`;
}

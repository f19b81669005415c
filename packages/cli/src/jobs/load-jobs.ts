import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { describeProblem, jobSpecSchema, nameSchema } from '@ebb/contract';
import { isMap, isPair, isScalar, parseAllDocuments, visit } from 'yaml';
import { z } from 'zod';
import { CliError } from '../core/cli-error.ts';
import { interpolate, InterpolationError } from '../manifest/interpolate.ts';
import { composeJobs, type NamedJob } from './compose-jobs.ts';

/** The jobs of a file. */
export interface LoadedJobs {
  readonly namespace?: string;
  readonly jobs: readonly NamedJob[];
  /** What of the file means nothing, in sentences. */
  readonly warnings: readonly string[];
}

const documentSchema = jobSpecSchema.safeExtend({
  kind: z.literal('job'),
  name: nameSchema,
  namespace: nameSchema.optional(),
});

/**
 * Reads the jobs of a file: documents with `kind: job`, or the services of a compose file. Throws MANIFEST_INVALID with a
 * sentence that begins with the file, FILE_FAILED.
 */
export async function loadJobs(
  path: string,
  { cwd, env }: { readonly cwd: string; readonly env: Readonly<Record<string, string | undefined>> },
): Promise<LoadedJobs> {
  const near = relative(cwd, path);
  const file = near.startsWith('..') ? path : near;
  let source: string;
  try {
    source = await readFile(path, 'utf8');
  } catch (cause) {
    throw new CliError('FILE_FAILED', `the file ${path} cannot be read`, { cause });
  }
  const refuse = (message: string, cause?: unknown) =>
    new CliError('MANIFEST_INVALID', `${file}: ${message}`, { cause });
  const documents = parseAllDocuments(source, { merge: true, prettyErrors: false });
  const contents: unknown[] = [];
  if ('empty' in documents) throw refuse('it is empty');
  for (const document of documents) {
    const fault = document.errors[0];
    if (fault) throw refuse(`this is not valid YAML: ${fault.message.split('\n')[0] ?? ''}`, fault);
    // Variables are put in after YAML was understood, so a value can never change the structure.
    visit(document, {
      Scalar(key, node, path_) {
        if (key === 'key') return;
        // An environment variable that looks like a number is the text that was written.
        const isText = path_.some(
          (step) => isPair(step) && isScalar(step.key) && TEXT_MAPS.has(String(step.key.value)),
        );
        if (typeof node.value === 'number' || typeof node.value === 'boolean') {
          if (isText) node.value = node.source ?? String(node.value);
        } else if (typeof node.value === 'string' && node.value.includes('$')) {
          try {
            node.value = interpolate(node.value, env);
          } catch (error) {
            if (!(error instanceof InterpolationError)) throw error;
            throw refuse(`a value ${error.message}`, error);
          }
        }
      },
    });
    if (isMap(document.contents)) contents.push(document.toJS({ maxAliasCount: 100 }));
  }
  const compose = contents.find((content) => hasKey(content, 'services'));
  if (compose !== undefined) {
    const read = composeJobs(compose);
    if (read.kind === 'refused') throw refuse(read.message);
    return { jobs: read.jobs, warnings: read.warnings.map((warning) => `${file}: ${warning}`) };
  }
  const own = contents.filter((content) => hasKey(content, 'kind'));
  if (own.length === 0) throw refuse('it has no document with "kind: job" and no "services"');
  let namespace: string | undefined;
  const jobs = own.map((content): NamedJob => {
    const checked = documentSchema.safeParse(content);
    if (!checked.success) throw refuse(describeProblem(checked.error, content, 'the job').message, checked.error);
    namespace = checked.data.namespace ?? namespace;
    const {
      kind: _,
      name,
      namespace: __,
      ...spec
    } = content as { kind: string; name: string; namespace?: string } & NamedJob['spec'];
    return { name, spec };
  });
  return { jobs, warnings: [], ...(namespace === undefined ? {} : { namespace }) };
}

const TEXT_MAPS = new Set(['env', 'environment', 'labels', 'inputs']);

function hasKey(content: unknown, key: string): boolean {
  return typeof content === 'object' && content !== null && key in content;
}

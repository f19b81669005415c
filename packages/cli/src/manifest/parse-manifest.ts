import {
  describeProblem,
  type FunctionSpecInput,
  type ManifestFunctionInput,
  type ManifestInput,
  manifestSchema,
  type RolloutSpecInput,
} from '@ebb/contract';
import {
  Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type Scalar,
  visit,
} from 'yaml';
import { CliError } from '../core/cli-error.ts';
import { interpolate, InterpolationError } from './interpolate.ts';

/** A function of an `ebb.yaml`. */
export interface ManifestFunction {
  readonly name: string;
  readonly spec: FunctionSpecInput;
  readonly rollout?: RolloutSpecInput;
  /** Directory of the code as written, relative to the file. */
  readonly code?: string;
}

/** An `ebb.yaml` that was checked, with variables put in. */
export interface ParsedManifest {
  readonly namespace?: string;
  readonly functions: readonly ManifestFunction[];
}

/** Where a manifest comes from. */
export interface ManifestOrigin {
  /** How errors name the file. */
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const TEXT_MAPS = new Set(['env', 'labels', 'annotations']);

/**
 * Reads the text of an `ebb.yaml`. Variables are put into values after YAML was understood, so a value can never
 * change the structure. Throws MANIFEST_INVALID with a sentence that begins with file and line.
 */
export function parseManifest(source: string, origin: ManifestOrigin): ParsedManifest {
  const lineCounter = new LineCounter();
  const documents = parseAllDocuments(source, { lineCounter, merge: true, prettyErrors: false });
  const refuse = (offset: number | undefined, message: string, cause?: unknown) => {
    const line = offset === undefined ? 1 : lineCounter.linePos(offset).line;
    return new CliError('MANIFEST_INVALID', `${origin.file}:${line}: ${message}`, { cause });
  };
  const all = 'empty' in documents ? [] : documents;
  // Jobs have documents of their own, which "ebb job run" reads.
  const own = all.filter((one) => !isJob(one));
  if (own.length === 0 && all.length > 0) {
    throw refuse(undefined, 'it has jobs alone and no functions; "ebb job run" runs them');
  }
  if (own.length > 1) throw refuse(own[1]?.range[0], 'functions stand in one document, and here is another one');
  const document = own[0] ?? new Document(null);
  const fault = all.flatMap(({ errors }) => errors)[0];
  if (fault) throw refuse(fault.pos[0], `this is not valid YAML: ${fault.message.split('\n')[0] ?? ''}`, fault);
  visit(document, {
    Scalar(key, node, path) {
      if (key === 'key') return;
      const names = path
        .filter((step) => isPair(step))
        .map((step) => (isScalar(step.key) ? String(step.key.value) : ''));
      try {
        fillIn(node, isTextMap(names), origin.env);
      } catch (error) {
        if (!(error instanceof InterpolationError)) throw error;
        throw refuse(node.range?.[0], `"${names.join('.')}" ${error.message}`, error);
      }
    },
  });
  const content: unknown = document.toJS({ maxAliasCount: 100 });
  const checked = manifestSchema.safeParse(content);
  if (!checked.success) {
    const issue = checked.error.issues[0];
    const extra = issue?.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
    const offset = offsetOf(document, [...(issue?.path ?? []), ...extra]);
    throw refuse(offset, describeProblem(checked.error, content, 'the file').message, checked.error);
  }
  return toManifest(content as ManifestInput);
}

/** Whether a document says `kind: job`. */
function isJob({ contents }: Document): boolean {
  return isMap(contents) && contents.get('kind') === 'job';
}

function toManifest(content: ManifestInput): ParsedManifest {
  return {
    ...(content.namespace === undefined ? {} : { namespace: content.namespace }),
    functions: Object.entries<ManifestFunctionInput>(content.functions).map(([name, { code, rollout, ...spec }]) => ({
      name,
      spec,
      ...(code === undefined ? {} : { code }),
      ...(rollout === undefined ? {} : { rollout: inFull(rollout) }),
    })),
  };
}

/** A rollout that was checked, where the strategy may stand alone. */
function inFull(rollout: unknown): RolloutSpecInput {
  return (typeof rollout === 'string' ? { strategy: rollout } : rollout) as RolloutSpecInput;
}

/** Whether a value belongs to a map of texts such as `functions.hello.env`. */
function isTextMap(names: readonly string[]): boolean {
  return names.length === 4 && names[0] === 'functions' && TEXT_MAPS.has(names[2] ?? '');
}

function fillIn(node: Scalar, isText: boolean, env: ManifestOrigin['env']): void {
  if (typeof node.value === 'number' || typeof node.value === 'boolean') {
    // `PORT: 8080` means the text; as written, so that 1.10 stays 1.10.
    if (isText) node.value = node.source ?? String(node.value);
    return;
  }
  if (typeof node.value !== 'string' || !node.value.includes('$')) return;
  const filled = interpolate(node.value, env);
  node.value = node.type === 'PLAIN' && !isText ? scalarOf(filled) : filled;
}

/** What an unquoted value means, as if it had stood in the file. */
function scalarOf(text: string): string | number | boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d{1,15}(?:\.\d{1,10})?$/.test(text) ? Number(text) : text;
}

/** Where the deepest part of a path that is in the document begins. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number | undefined {
  let node: unknown = document.contents;
  let offset = (node as Node | null)?.range?.[0];
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
      if (!pair) return offset;
      offset = (pair.key as Scalar).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      offset = (node as Node | undefined)?.range?.[0] ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

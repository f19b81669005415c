/**
 * Writes docs/config.md, docs/errors.md and docs/functions.md from the settings table, the error catalog and the schema
 * of `ebb.yaml`, and the table of fields in docs/jobs.md. With `--check` it writes nothing and ends with status 1 when a page is not what it would write.
 */
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { ERRORS } from '../packages/contract/src/errors.ts';
import { jobSpecSchema } from '../packages/contract/src/job-spec.ts';
import { manifestFunctionSchema } from '../packages/contract/src/manifest.ts';
import { SETTINGS } from '../packages/server/src/config/config-schema.ts';
import { CONFIG_FILE_NAME } from '../packages/server/src/config/load-config.ts';
import { flagName, variableName } from '../packages/server/src/config/setting.ts';

/** The generated pages by their path in the repository. */
export function renderPages(): ReadonlyMap<string, string> {
  return new Map([
    ['docs/config.md', renderConfigPage()],
    ['docs/errors.md', renderErrorsPage()],
    ['docs/functions.md', renderFunctionsPage()],
    ['docs/jobs.md', renderJobsPage()],
  ]);
}

/** Paths of pages on disk that differ from what {@link renderPages} says. */
export async function findStalePages(): Promise<readonly string[]> {
  const stale: string[] = [];
  for (const [path, content] of renderPages()) {
    const current = await readFile(pageUrl(path), 'utf8').catch(() => '');
    if (current !== content) stale.push(path);
  }
  return stale;
}

function renderConfigPage(): string {
  const rows = Object.values(SETTINGS).map((setting) => [
    `\`${setting.name}\``,
    `\`${flagName(setting.name)}\``,
    `\`${variableName(setting.name)}\``,
    setting.fallback === undefined ? 'none' : `\`${setting.fallback}\``,
    setting.allowed,
    setting.description,
  ]);
  return page(
    'Settings of the server',
    `Every setting can be given by a flag, by an environment variable, or in a file; the first of them that speaks
wins, and an empty variable does not speak. The file is \`${CONFIG_FILE_NAME}\` in the data directory, or the one that
\`--config\` or \`EBB_CONFIG\` names. It maps setting names to values:

\`\`\`yaml
listen: 127.0.0.1:8080
startTimeout: 2m
maxInstances: 100
\`\`\`

A value that is not allowed, an unknown flag and an unknown name in the file keep the server from starting, with the
error \`CONFIG_INVALID\`. An unknown variable that begins with \`EBB_\` is named in a warning. \`EBB_URL\` and \`EBB_TOKEN\`
belong to the command line client. Durations are written \`250ms\`, \`30s\`, \`1m30s\` or \`2h\`; sizes \`64Mi\` or \`1G\`.`,
    ['Setting', 'Flag', 'Variable', 'Default', 'Allowed', 'What it does'],
    rows,
  );
}

function renderErrorsPage(): string {
  const rows = Object.entries(ERRORS).map(([code, error]) => [
    `\`${code}\``,
    String(error.status),
    error.component,
    error.fault,
    error.retryable ? 'yes' : 'no',
    error.description,
  ]);
  return page(
    'Errors',
    `Every error the platform itself answers with is JSON: \`{"code", "message", "component", "callId"}\`, and \`logs\`
with an instance’s last lines where a start failed, and what the call itself wrote where its instance broke. Codes are stable; messages are for people and may change. Such an
answer carries the header \`X-Ebb-Error\`; an answer of a function never does. \`Mended by\` says who can do something
about it, \`Retry\` whether the same request can succeed later.`,
    ['Code', 'Status', 'From', 'Mended by', 'Retry', 'When, and what to do'],
    rows,
  );
}

function renderFunctionsPage(): string {
  const rows = describeFields(manifestFunctionSchema).map(toRow);
  return page(
    'Functions and ebb.yaml',
    `\`ebb.yaml\` lists functions by name. \`ebb deploy\` deploys all of them, \`ebb deploy NAME\` one.

\`\`\`yaml
namespace: openfaas-fn # if it is left out, this one
functions:
  resize: # code in ./resize, or beside this file
    runtime: node
    memory: 512Mi
    concurrency: 2
    env:
      QUALITY: \${QUALITY:-75}
    secrets: [s3-key]
  web:
    image: registry.example.org/web:1.4
    port: 3000
    healthPath: /healthz
    scale: { min: 1, max: 5 }
\`\`\`

Exactly one of \`runtime\` and \`image\` says what runs. [handlers.md](handlers.md) says how a handler is written and
found; \`handler\` and \`code\` are for runtimes only. An image is run as it is and must serve HTTP on \`PORT\`; \`command\`
and \`healthPath\` are for images only. An unknown field is refused by its name, with file and line. The control API
takes the same fields as \`spec\`, all but \`code\`.

An image runs as an unprivileged user on a read-only root file system, whatever user it names. One that starts as root,
or writes anywhere but \`/tmp\` and the volumes it declares, ends at its start with words such as "Read-only file system"
or "Permission denied", as Debian's nginx does. Declare a \`VOLUME\` for the directories it writes to, or point it at
\`/tmp\`; \`readOnlyRootFilesystem: false\` helps only where the user may write. \`user: image\` keeps the user of the
image and refuses root.

In any value \`\${NAME}\` is the environment variable of whoever deploys, \`\${NAME:-text}\` has a default, and \`$$\` is a
dollar sign. Durations are written \`250ms\`, \`30s\`, \`1m30s\` or \`2h\`, and a plain number means seconds; sizes are
written \`64Mi\` or \`1G\`. Names of functions and namespaces are 1 to 63 lower-case letters, digits or \`-\`.

\`image\`, \`network: none\`, \`cpu\`, \`pids\`, \`tmp\`, \`user\` and \`readOnlyRootFilesystem\` need the Docker engine. The
process engine refuses the first two; of the limits it keeps \`memory\` alone, as a limit of the JavaScript heap.

Beside its \`env\` an instance finds \`EBB_FUNCTION\`, \`EBB_NAMESPACE\`, \`EBB_VERSION\` and \`EBB_TIMEOUT_MS\`, an image also
\`PORT\`; \`EBB_SECRETS_DIR\` names the directory with one file a secret, \`/var/openfaas/secrets\` on Docker. These
and the others the platform sets may not be in \`env\`; a runtime's own \`PORT\` may.`,
    ['Field', 'Default', 'Allowed', 'What it says'],
    rows,
  );
}

/** The page as it is, with the table of a job's fields between its marks made anew. */
function renderJobsPage(): string {
  const current = readFileSync(pageUrl('docs/jobs.md'), 'utf8');
  const rows = describeFields(jobSpecSchema).map(toRow);
  const table = tableOf(['Field', 'Default', 'Allowed', 'What it says'], rows);
  return current.replace(
    /(<!-- fields[^\n]*-->\n\n)[^]*?(\n\n<!-- \/fields -->)/,
    (_, begin: string, end: string) => begin + table + end,
  );
}

function toRow({ name, fallback, allowed, description }: Field): readonly string[] {
  return [`\`${name}\``, fallback, allowed, description];
}

interface Field {
  readonly name: string;
  readonly fallback: string;
  readonly allowed: string;
  readonly description: string;
}

/** A field in the JSON schema that zod makes of it; what a refinement allows is not in there. */
interface FieldSchema {
  readonly type?: string | readonly string[];
  readonly default?: unknown;
  readonly description?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: FieldSchema;
  readonly properties?: Readonly<Record<string, FieldSchema>>;
}

/** Every field of an entry, those inside another, such as `scale.max`, with their path. */
function describeFields(entry: z.ZodType): readonly Field[] {
  const inside = ({ properties = {} }: FieldSchema, path: readonly string[]): readonly Field[] =>
    Object.entries(properties).flatMap(([name, schema]) =>
      schema.properties === undefined
        ? [describeField(entry, [...path, name], schema)]
        : inside(schema, [...path, name]),
    );
  return inside(z.toJSONSchema(entry, { io: 'input' }) as FieldSchema, []);
}

function describeField(entry: z.ZodType, path: readonly string[], schema: FieldSchema): Field {
  const { default: fallback, description = '' } = schema;
  const shown = typeof fallback === 'string' ? fallback : (JSON.stringify(fallback) ?? '');
  return {
    name: path.join('.'),
    fallback: ['', '{}', '[]'].includes(shown) ? 'none' : `\`${shown}\``,
    allowed: allowedOf(entry, path, schema),
    description,
  };
}

function allowedOf(entry: z.ZodType, path: readonly string[], schema: FieldSchema): string {
  if (schema.enum) return schema.enum.map((word) => `\`${word}\``).join(', ');
  if (schema.type === 'integer') return `a whole number from ${schema.minimum} to ${schema.maximum}`;
  if (schema.type === 'boolean') return '`true`, `false`';
  if (schema.type === 'number') return `a number from ${schema.minimum} to ${schema.maximum}`;
  if (schema.type === 'array') {
    const type = schema.items?.type;
    const entries = type === 'object' ? 'entries' : type === 'integer' ? 'numbers' : 'texts';
    return `a list of ${schema.minItems ?? 0} to ${schema.maxItems} ${entries}`;
  }
  if (schema.type === 'object') return 'names with texts';
  // What the schema says when it refuses a text: "must be a size from ...".
  const wrong = path.toReversed().reduce<unknown>((value, name) => ({ [name]: value }), '\0');
  const issue = entry
    .safeParse(wrong)
    .error?.issues.find((found) => found.path.join('.') === path.join('.') && found.message.startsWith('must be '));
  return issue?.message.slice('must be '.length) ?? 'a path';
}

function page(title: string, intro: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  const table = tableOf(head, rows);
  return `<!-- Generated by \`npm run docs\`; do not edit. -->\n\n# ${title}\n\n${intro}\n\n${table}\n`;
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function pageUrl(path: string): URL {
  return new URL(`../${path}`, import.meta.url);
}

if (import.meta.main) {
  if (process.argv.includes('--check')) {
    const stale = await findStalePages();
    for (const path of stale) console.error(`${path} is out of date; run \`npm run docs\``);
    process.exitCode = stale.length === 0 ? 0 : 1;
  } else {
    for (const [path, content] of renderPages()) await writeFile(pageUrl(path), content);
  }
}

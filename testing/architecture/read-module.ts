import { type Comment, parseSync } from 'oxc-parser';

/** One import or re-export of a module. */
export interface ModuleImport {
  readonly specifier: string;
  readonly line: number;
  /** Whether it vanishes when types are stripped. */
  readonly isType: boolean;
  readonly isDynamic: boolean;
}

/** Something a rule may object to, where it stands. */
export interface Finding {
  readonly line: number;
  readonly what: string;
}

/** What the architecture rules need to know of a source file. */
export interface SourceModule {
  readonly path: string;
  readonly imports: readonly ModuleImport[];
  /** Exported symbols without a doc comment. */
  readonly undocumented: readonly Finding[];
  readonly defaultExports: readonly Finding[];
  /** Module-level variables that can be assigned again. */
  readonly mutableState: readonly Finding[];
  readonly environmentReads: readonly Finding[];
  /** Uses of the clock, of randomness and of timers. */
  readonly impurities: readonly Finding[];
}

const IMPURE_MEMBERS = new Set(['Date.now', 'performance.now', 'Math.random', 'crypto.randomUUID']);
const IMPURE_CALLS = new Set(['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'fetch']);

interface AstNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

/** Parses a TypeScript or JavaScript source. Throws a SyntaxError that names the file when it is not well-formed. */
export function readModule(path: string, text: string): SourceModule {
  const { module, program, comments, errors } = parseSync(path, text);
  if (errors[0] !== undefined) throw new SyntaxError(`${path}: ${errors[0].message}`);
  const lineStarts = [0, ...text.matchAll(/\n/g).map((match) => match.index + 1)];
  const lineOf = (offset: number): number => lineStarts.findLastIndex((start) => start <= offset) + 1;
  const body = program.body as unknown as readonly AstNode[];

  const imports: ModuleImport[] = module.staticImports.map((found) => ({
    specifier: found.moduleRequest.value,
    line: lineOf(found.start),
    isType: found.entries.length > 0 && found.entries.every((entry) => entry.isType),
    isDynamic: false,
  }));
  for (const found of module.staticExports) {
    const source = found.entries.find((entry) => entry.moduleRequest)?.moduleRequest;
    if (!source) continue;
    const isType = found.entries.every((entry) => entry.isType);
    imports.push({ specifier: source.value, line: lineOf(found.start), isType, isDynamic: false });
  }
  for (const found of module.dynamicImports) {
    const quoted = text.slice(found.moduleRequest.start, found.moduleRequest.end);
    imports.push({ specifier: quoted.slice(1, -1), line: lineOf(found.start), isType: false, isDynamic: true });
  }

  const found = { environmentReads: [] as Finding[], impurities: [] as Finding[] };
  for (const node of body) walk(node, (inner) => inspect(inner, text, lineOf, found));
  return {
    path,
    imports,
    undocumented: body.flatMap((node) => findUndocumented(node, text, comments, lineOf)),
    defaultExports: body
      .filter((node) => node.type === 'ExportDefaultDeclaration')
      .map((node) => ({ line: lineOf(node.start), what: 'default' })),
    mutableState: body.flatMap((node) => findMutable(node, text, lineOf)),
    ...found,
  };
}

function inspect(
  node: AstNode,
  text: string,
  lineOf: (offset: number) => number,
  found: { environmentReads: Finding[]; impurities: Finding[] },
): void {
  const add = (list: Finding[]): number =>
    list.push({ line: lineOf(node.start), what: text.slice(node.start, node.end) });
  if (node.type === 'MemberExpression') {
    const member = text.slice(node.start, node.end);
    if (member === 'process.env') add(found.environmentReads);
    if (IMPURE_MEMBERS.has(member)) add(found.impurities);
  }
  if (node.type === 'CallExpression' || node.type === 'NewExpression') {
    const callee = node['callee'] as AstNode;
    const name = text.slice(callee.start, callee.end);
    const takesNow = node.type === 'NewExpression' && name === 'Date' && (node['arguments'] as unknown[]).length === 0;
    if (takesNow || (node.type === 'CallExpression' && IMPURE_CALLS.has(name))) add(found.impurities);
  }
}

function findUndocumented(
  node: AstNode,
  text: string,
  comments: readonly Comment[],
  lineOf: (offset: number) => number,
): readonly Finding[] {
  const declaration = node['declaration'] as AstNode | null | undefined;
  if (node.type !== 'ExportNamedDeclaration' || !declaration) return [];
  const source = text.slice(declaration.start, declaration.end);
  const isInferred = /^type \w+ = z\.(?:output|input|infer)<typeof \w+>;?$/.test(source);
  const comment = comments.findLast((candidate) => candidate.end <= node.start);
  const isDocumented =
    comment?.type === 'Block' && comment.value.startsWith('*') && text.slice(comment.end, node.start).trim() === '';
  if (isInferred || isDocumented) return [];
  return [{ line: lineOf(node.start), what: source.split(/[\n{=(]/, 1)[0]?.trim() ?? '' }];
}

function findMutable(node: AstNode, text: string, lineOf: (offset: number) => number): readonly Finding[] {
  const declaration = node.type === 'ExportNamedDeclaration' ? (node['declaration'] as AstNode | null) : node;
  if (declaration?.type !== 'VariableDeclaration' || declaration['kind'] === 'const') return [];
  return [
    {
      line: lineOf(node.start),
      what: text.slice(declaration.start, declaration.end).split(/[=\n]/, 1)[0]?.trim() ?? '',
    },
  ];
}

function walk(node: AstNode, visit: (node: AstNode) => void): void {
  visit(node);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (isNode(child)) walk(child, visit);
    }
  }
}

function isNode(value: unknown): value is AstNode {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

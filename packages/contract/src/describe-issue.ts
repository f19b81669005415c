import type { z } from 'zod';
import type { ErrorCode } from './errors.ts';

/** A refusal of an input: its code and one sentence that names field, value and rule. */
export interface InputProblem {
  readonly code: Extract<ErrorCode, 'INVALID_REQUEST' | 'UNKNOWN_FIELD'>;
  readonly message: string;
}

/** Says in one sentence what is wrong with an input that a schema refused; `root` names the whole input. */
export function describeProblem(error: z.ZodError, input: unknown, root = 'the request'): InputProblem {
  const issue = error.issues[0];
  if (!issue) return { code: 'INVALID_REQUEST', message: `${root} is not valid` };
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0] ?? '';
    const where = issue.path.length === 0 ? root : `"${fieldName(issue.path)}"`;
    return { code: 'UNKNOWN_FIELD', message: `${where} has an unknown field "${clip(key)}"` };
  }
  if (issue.code === 'invalid_key') {
    const message = issue.issues[0]?.message ?? issue.message;
    return { code: 'INVALID_REQUEST', message: `the name "${fieldName(issue.path)}" ${message}` };
  }
  const field = issue.path.length === 0 ? root : `"${fieldName(issue.path)}"`;
  const value = valueAt(input, issue.path);
  const given = value === undefined ? '' : ` is ${show(value)} but`;
  return { code: 'INVALID_REQUEST', message: `${field}${given} ${rule(issue, value)}` };
}

function rule(issue: z.core.$ZodIssue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      return value === undefined ? `is missing: expected ${kind(issue.expected)}` : `must be ${kind(issue.expected)}`;
    case 'invalid_value':
      return `must be ${issue.values.map((allowed) => JSON.stringify(allowed)).join(', ')}`.replace(
        /, ([^,]*)$/,
        ' or $1',
      );
    case 'too_small':
      return bound('at least', issue.minimum, issue.origin);
    case 'too_big':
      return bound('at most', issue.maximum, issue.origin);
    case 'invalid_format':
      if (issue.format === 'datetime') return 'must be a moment such as "2027-01-31T08:00:00Z"';
      return sentence(issue.message);
    case 'invalid_union':
      return 'must be text or a number';
    default:
      return sentence(issue.message);
  }
}

function sentence(message: string): string {
  return /^(must|is) /.test(message) ? message : `must be valid: ${message}`;
}

function bound(side: 'at least' | 'at most', limit: number | bigint, origin: string): string {
  const isOne = Number(limit) === 1;
  if (origin === 'string') return `must be ${side} ${limit} ${isOne ? 'character' : 'characters'} long`;
  if (origin === 'array') return `must have ${side} ${limit} ${isOne ? 'entry' : 'entries'}`;
  return `must be ${side} ${limit}`;
}

/** What people call the types of values. */
const KINDS: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  int: 'a whole number',
  object: 'an object',
  record: 'an object',
};

function kind(type: string): string {
  return KINDS[type] ?? `a ${type}`;
}

function fieldName(path: readonly PropertyKey[]): string {
  return path.map((part) => clip(String(part))).join('.');
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value: unknown = input;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  return value;
}

function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : clip(JSON.stringify(value) ?? String(value));
}

function clip(text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Signature } from './settings.ts';

/** Answers one request; never throws. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void;
/** Takes over the connection of an upgrade request, as for WebSockets. */
export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Whether a request has a body: only then does it say how long it is or that it comes in chunks (RFC 9112, 6.3). */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

/** How a handler is called, and the value to call. */
export interface Shape {
  readonly signature: Exclude<Signature, 'auto'>;
  readonly value: unknown;
  /** The object the value is a method of. */
  readonly owner?: unknown;
}

type Exports = Readonly<Record<string, unknown>>;
type AnyFunction = (...parameters: unknown[]) => unknown;

const MISSING =
  'exports no handler: export default { fetch(request, context) }, a function named "handler", or a default function';

/**
 * Finds how a module's handler is called, by the rule in docs/handlers.md. Throws an error that completes the
 * sentence "the handler file ...".
 */
export function findShape(exports: Exports, signature: Signature, exportName?: string): Shape {
  // A CommonJS module's exports are the default export of what import() gives, and named only where Node finds them.
  const whole = exports['default'];
  const named = (name: string): unknown => exports[name] ?? (isObject(whole) ? whole[name] : undefined);
  if (exportName !== undefined) {
    const value = exportName === 'default' ? whole : named(exportName);
    if (value === undefined) throw new Error(`has no export named "${exportName}"`);
    return shapeOf(value, signature, exportName);
  }
  const main = isObject(whole) && !isApplication(whole) && 'default' in whole ? whole['default'] : whole;
  if (signature === 'auto') {
    if (hasFetch(main)) return { signature: 'fetch', value: main.fetch, owner: main };
    if (isFunction(exports['fetch'])) return { signature: 'fetch', value: exports['fetch'] };
    if (isFunction(named('handler')) && !isApplication(main)) return { signature: 'event', value: named('handler') };
  }
  const value = isCallable(main) ? main : (named('handler') ?? named('fetch') ?? main);
  if (value === undefined) throw new Error(MISSING);
  return shapeOf(value, signature, 'default');
}

function shapeOf(value: unknown, signature: Signature, name: string): Shape {
  const found = signature === 'auto' ? guess(value, name) : signature;
  if (found === 'fetch' && hasFetch(value)) return { signature: found, value: value.fetch, owner: value };
  if (found === 'node' && isApplication(value)) return { signature: found, value };
  if (found !== undefined && isFunction(value)) return { signature: found, value };
  throw new Error(signature === 'auto' ? MISSING : `exports nothing that can be called as signature "${signature}"`);
}

function guess(value: unknown, name: string): Shape['signature'] | undefined {
  if (hasFetch(value)) return 'fetch';
  if (isApplication(value)) return 'node';
  if (!isFunction(value)) return undefined;
  if (name === 'fetch') return 'fetch';
  return name !== 'handler' && looksLikeListener(value) ? 'node' : 'event';
}

/** Whether a function takes three parameters, or a second one that is called like a response. */
function looksLikeListener(value: AnyFunction): boolean {
  if (value.length >= 3) return true;
  return /^_?(?:res|resp|response|reply)$/i.test(parameterNames(value)[1] ?? '');
}

/** Names of a function's parameters as its source has them; patterns and defaults give what precedes them. */
export function parameterNames(value: AnyFunction): readonly string[] {
  const source = Function.prototype.toString
    .call(value)
    .replaceAll(/\/\*[^]*?\*\/|\/\/.*$/gm, '')
    .replace(/^\s*(?:async\s+)?(?:function\b\s*\*?\s*)?/, '');
  const open = source.indexOf('(');
  const arrow = source.indexOf('=>');
  if (open === -1 || (arrow !== -1 && arrow < open)) return [source.slice(0, Math.max(arrow, 0)).trim()];
  const names: string[] = [];
  let depth = 0;
  let name = '';
  for (const character of source.slice(open + 1)) {
    if (depth === 0 && (character === ',' || character === ')')) {
      names.push(name.split('=', 1)[0]?.trim() ?? '');
      name = '';
      if (character === ')') break;
      continue;
    }
    if ('([{'.includes(character)) depth += 1;
    if (')]}'.includes(character)) depth -= 1;
    name += character;
  }
  return names;
}

function isObject(value: unknown): value is Exports {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

function isFunction(value: unknown): value is AnyFunction {
  return typeof value === 'function';
}

function isCallable(value: unknown): boolean {
  return isFunction(value) || hasFetch(value) || isApplication(value);
}

function hasFetch(value: unknown): value is { fetch: AnyFunction } {
  return isObject(value) && isFunction(value['fetch']) && !isServer(value);
}

/** An http.Server, or an application of a framework: Express and Connect (`handle`), Fastify (`server`), Koa (`callback`). */
function isApplication(value: unknown): boolean {
  if (!isObject(value)) return false;
  if (typeof value === 'function') return isFunction(value['handle']);
  return isServer(value) || isServer(value['server']) || (isFunction(value['callback']) && isFunction(value['use']));
}

function isServer(value: unknown): boolean {
  return (
    isObject(value) &&
    isFunction(value['emit']) &&
    isFunction(value['listen']) &&
    isFunction(value['closeIdleConnections'])
  );
}

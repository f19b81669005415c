import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { HANDLER_FAILED_EXIT, NEVER_SETTLED_EXIT } from './load-failure.ts';
import type { Settings } from './settings.ts';
import { type Answer, findShape, type Upgrade } from './shape.ts';

/** A loaded handler, ready to answer. */
export interface Handler {
  readonly answer: Answer;
  readonly upgrade?: Upgrade;
}

const DEFAULT_FILES = ['index.ts', 'index.mts', 'index.js', 'index.mjs', 'index.cjs'];

/**
 * Loads the user's handler. Throws an error whose message is one sentence for the function's log. Ends the process when
 * the handler waits for something and nothing is left that could bring it.
 */
export async function loadHandler(settings: Settings): Promise<Handler> {
  const file = findFile(settings);
  const onIdle = () => {
    const name = relative(settings, file);
    console.error(`ebb: the handler file "${name}" never finishes loading: its top-level await does not settle`);
    process.exit(NEVER_SETTLED_EXIT);
  };
  const onUncaught = (error: unknown) => {
    console.error(`ebb: uncaught exception while the handler file "${relative(settings, file)}" was loaded:`, error);
    process.exit(HANDLER_FAILED_EXIT);
  };
  process.once('beforeExit', onIdle);
  process.prependListener('uncaughtException', onUncaught);
  try {
    return await loadFile(settings, file);
  } finally {
    process.off('beforeExit', onIdle);
    process.off('uncaughtException', onUncaught);
  }
}

async function loadFile(settings: Settings, file: string): Promise<Handler> {
  let exports: Record<string, unknown>;
  try {
    exports = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (error) {
    throw new Error(`the handler file "${relative(settings, file)}" cannot be loaded: ${explain(error)}`, {
      cause: error,
    });
  }
  try {
    const shape = findShape(exports, settings.signature, settings.exportName);
    const upgrade = typeof exports['upgrade'] === 'function' ? { upgrade: exports['upgrade'] as Upgrade } : {};
    if (shape.signature === 'fetch') {
      const { answerWithFetch } = await import('./answer-fetch.ts');
      return { answer: answerWithFetch(shape.value, shape.owner, settings), ...upgrade };
    }
    if (shape.signature === 'event') {
      const { answerWithEvent } = await import('./answer-event.ts');
      return { answer: answerWithEvent(shape.value, settings), ...upgrade };
    }
    const { answerWithNode } = await import('./answer-node.ts');
    return { ...(await answerWithNode(shape.value)), ...upgrade };
  } catch (error) {
    throw new Error(`the handler file "${relative(settings, file)}" ${explain(error)}`, { cause: error });
  }
}

function findFile(settings: Settings): string {
  const { codeDir } = settings;
  if (settings.file !== undefined) {
    const path = join(codeDir, settings.file);
    if (!existsSync(path))
      throw new Error(`the handler file "${settings.file}" is missing in the code${whatThereIs(codeDir)}`);
    const real = realpathSync(path);
    if (!real.startsWith(realpathSync(codeDir) + sep)) {
      throw new Error(`the handler file "${settings.file}" must be inside the code directory`);
    }
    return path;
  }
  const main = mainOf(codeDir);
  for (const name of main === undefined ? DEFAULT_FILES : [main, ...DEFAULT_FILES]) {
    const path = join(codeDir, name);
    if (existsSync(path)) return path;
  }
  throw new Error(
    `there is no handler file: the code needs one of ${DEFAULT_FILES.join(', ')}, or "main" in package.json, or "handler" in the spec${whatThereIs(codeDir)}`,
  );
}

function mainOf(codeDir: string): string | undefined {
  try {
    const { main } = JSON.parse(readFileSync(join(codeDir, 'package.json'), 'utf8')) as { main?: unknown };
    return typeof main === 'string' && !main.split('/').includes('..') ? main : undefined;
  } catch {
    return undefined;
  }
}

function whatThereIs(codeDir: string): string {
  try {
    const names = readdirSync(codeDir);
    const shown = names.slice(0, 8).join(', ');
    return names.length === 0 ? '; it is empty' : `; it holds ${shown}${names.length > 8 ? ', ...' : ''}`;
  } catch (error) {
    return `; it cannot be read: ${explain(error)}`;
  }
}

function relative(settings: Settings, file: string): string {
  return file.startsWith(settings.codeDir + sep) ? file.slice(settings.codeDir.length + 1) : file;
}

function explain(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error);
}

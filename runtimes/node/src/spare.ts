import { statSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { enableCompileCache } from 'node:module';
import { sendCompiled } from './compiled.ts';
import { serve } from './serve.ts';
import type { Answer } from './shape.ts';
import type { Handler } from './load-handler.ts';

/** Longest message; environments are far smaller. */
const MAX_MESSAGE_BYTES = 4 * 2 ** 20;

/** Address of a module with nothing in it. */
const NO_MODULE: string = 'data:text/javascript,';

/** What the platform tells a spare to make it an instance of a version. */
interface Message {
  readonly env: Readonly<Record<string, string>>;
  readonly workDir: string;
  /** Inode of that directory when the code is there; the host mounts it, which may fail to reach this process. */
  readonly workDirInode?: string;
  readonly compileCache?: string;
  readonly sendCompiled?: boolean;
}

/** What a spare is made with. */
export interface SpareOptions extends Omit<Parameters<typeof serve>[0], 'handler'> {
  /** Loads the handler that the environment names. Ends the process when it cannot be loaded. */
  readonly load: () => Promise<Handler>;
}

/**
 * Serves without code until the platform says whose code it is, by `POST /_/specialise` on the instance's socket. That
 * is answered once; from then on the path is a path like any other, and the handler's. Nobody but the platform has the
 * socket before.
 */
export async function serveSpare({ load, ...options }: SpareOptions): Promise<void> {
  await preload();
  let isTaken = false;
  const answer: Answer = (request, response) => {
    if (isTaken || request.method !== 'POST' || request.url !== '/_/specialise') {
      response.writeHead(503).end('no code yet');
      return;
    }
    isTaken = true;
    void specialise(request, response);
  };
  const server = await serve({ ...options, handler: { answer }, isReady: false });

  async function specialise(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const message = JSON.parse(await readText(request)) as Message;
    // The variable that made this process a spare is not the function's.
    delete process.env['EBB_SPARE'];
    Object.assign(process.env, message.env);
    process.chdir(message.workDir);
    if (message.workDirInode !== undefined && inodeOf(message.workDir) !== message.workDirInode) {
      response.writeHead(409).end('the code is not there');
      return;
    }
    if (message.compileCache !== undefined) enableCompileCache(message.compileCache);
    response.writeHead(202);
    if (message.sendCompiled) response.flushHeaders();
    else response.end();
    server.letGo();
    request.socket.unref();
    const handler = await load();
    if (message.sendCompiled) sendCompiled(response);
    server.use(handler);
  }
}

/** Whatever most handlers need is loaded before there is one. */
async function preload(): Promise<void> {
  await Promise.all([
    import('./answer-fetch.ts'),
    import('./answer-event.ts'),
    import('./answer-node.ts'),
    import('./read-body.ts'),
    // The first import of a module by its address makes the loader itself.
    import(NO_MODULE),
  ]);
}

function inodeOf(path: string): string {
  return statSync(path, { bigint: true }).ino.toString();
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_MESSAGE_BYTES) throw new Error('the message is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

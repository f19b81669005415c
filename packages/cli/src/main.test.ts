import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { openSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

const EBB = fileURLToPath(new URL('../bin/ebb.mjs', import.meta.url));

interface Run {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

describe('ebb', () => {
  let cwd = '';
  let server: Server;
  let url = '';
  let requests: string[] = [];
  let answer: (request: IncomingMessage, response: ServerResponse) => void = () => {};

  beforeAll(async () => {
    server = createServer((request, response) => {
      requests.push(`${request.method} ${request.url}`);
      answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(async () => {
    cwd = await mkdtemp(join(tmpdir(), 'ebb-cli-'));
    requests = [];
  });
  afterEach(() => rm(cwd, { recursive: true }));

  const ebb = async (words: readonly string[], stdin?: Uint8Array, env: Record<string, string> = {}): Promise<Run> => {
    const child = spawn(process.execPath, [EBB, ...words], {
      cwd,
      env: { PATH: process.env['PATH'], HOME: cwd, ...env },
      stdio: [stdin === undefined ? openSync('/dev/null', 'r') : 'pipe', 'pipe', 'pipe'],
    });
    child.stdin?.end(stdin);
    const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
    if (!child.stdout || !child.stderr) throw new Error('no output to read');
    const [stdout, stderr] = await Promise.all([buffer(child.stdout), buffer(child.stderr)]);
    return { code: await exit, stdout, stderr: stderr.toString() };
  };
  const withServer = (words: readonly string[], stdin?: Uint8Array) => ebb(words, stdin, { EBB_URL: url });
  const refuse = (status: number, code: string, message: string, headers = {}) => {
    answer = (_request, response) => {
      const body = { code, message, component: 'api', callId: 'call-1', logs: ['\u001b[31mlast words'] };
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
    };
  };

  test.each([
    [['lst'], "unknown command 'lst'"],
    [['describe'], "missing required argument 'function'"],
    [['describe'], '"ebb describe --help" shows how it is used'],
    [['invocations', 'show'], '"ebb invocations show --help" shows how it is used'],
    [['invocations', '--json'], 'no command was given'],
    [['logs', 'a', '--bogus'], "unknown option '--bogus'"],
    [['describe', 'No_Name'], 'the function is "No_Name" but must be NAME or NAME.NAMESPACE'],
    [['describe', 'a.b', '-n', 'c'], 'names the namespace "b" but --namespace says "c"'],
    [['logs', 'a', '--tail', 'many'], '"--tail" is "many" but must be a whole number from 0'],
    [['logs', 'a', '--since', 'soon'], '"--since" is "soon" but must be a duration such as "10m"'],
    [['invoke', 'a', '--header', 'nocolon'], '"--header" is "nocolon" but must be "Name: value"'],
    [['invoke', 'a', '--data', 'x', '--file', 'y'], 'either --data or --file'],
    [['invoke', 'a', '--file', './none'], 'cannot be read'],
    [['deploy', 'nothing'], '"nothing" is no directory, and there is no ebb.yaml here'],
    [['deploy', '.'], 'name the function with --name'],
    [['remove'], 'name the function to remove'],
    [['list', '--url', 'ftp://x'], '"--url" is "ftp://x" but must be an address'],
    [['login'], 'give the secret with --token or EBB_TOKEN'],
    [['new', 'hello', '--template', 'cobol'], '"--template" is "cobol" but must be'],
  ])('%j is wrong usage: exit 2 with one sentence, and the server hears nothing', async (words, message) => {
    const run = await withServer(words);
    expect(run.stderr).toContain(message);
    expect([run.code, run.stdout.toString(), requests]).toEqual([2, '', []]);
  });

  test('without a server it says what to do: exit 5', async () => {
    const run = await ebb(['list']);
    expect([run.code, run.stdout.length]).toEqual([5, 0]);
    expect(run.stderr).toContain('start one with "ebb up"');
  });

  test('a server that is gone is named, with where its address came from: exit 5', async () => {
    await mkdir(join(cwd, '.ebb'));
    await writeFile(join(cwd, '.ebb', 'server.json'), JSON.stringify({ url: 'http://127.0.0.1:1', token: 't' }));
    const run = await ebb(['list']);
    expect(run.code).toBe(5);
    expect(run.stderr).toContain(
      'no answer from http://127.0.0.1:1: nothing listens there; start the server with "ebb up"',
    );
    expect(run.stderr).toContain(join('.ebb', 'server.json'));
  });

  test.each([
    [401, 'UNAUTHENTICATED', 4],
    [404, 'FUNCTION_NOT_FOUND', 3],
    [400, 'INVALID_REQUEST', 2],
    [422, 'DEPLOY_FAILED', 1],
    [503, 'ENGINE_TIMEOUT', 5],
    [500, 'INTERNAL', 1],
  ])('an answer %i %s ends with exit %i', async (status, code, exit) => {
    refuse(status, code, 'the sentence');
    const run = await ebb(['describe', 'a'], undefined, { EBB_URL: url, EBB_TOKEN: 't' });
    expect([run.code, run.stdout.length]).toEqual([exit, 0]);
    expect(run.stderr).toContain(`error: the sentence (${code}, call call-1)`);
    expect(run.stderr).toContain('| \\x1b[31mlast words');
  });

  test('with --json errors are JSON on standard error', async () => {
    refuse(404, 'FUNCTION_NOT_FOUND', 'none', {});
    for (const [words, code] of [
      [['list', '--json'], 'FUNCTION_NOT_FOUND'],
      [['lst', '--json'], 'USAGE'],
    ] as const) {
      const run = await withServer(words);
      expect(JSON.parse(run.stderr)).toMatchObject({ error: { code } });
      expect(run.stdout.length).toBe(0);
    }
  });

  test('list --json is one JSON value', async () => {
    answer = (_request, response) => void response.end('[]');
    const run = await withServer(['ls', '--json', '-n', 'team-a']);
    expect([run.code, JSON.parse(run.stdout.toString()), run.stderr]).toEqual([0, [], '']);
    expect(requests).toEqual(['GET /v1/namespaces/team-a/functions']);
  });

  test('a wrong ebb.yaml is told with file and line before anything is sent: exit 2', async () => {
    await writeFile(join(cwd, 'ebb.yaml'), 'functions:\n  a:\n    runtime: cobol\n');
    const run = await withServer(['deploy']);
    expect(run.stderr).toContain('ebb.yaml:3: "functions.a.runtime" is "cobol" but must be');
    expect([run.code, requests]).toEqual([2, []]);
  });

  describe('invoke', () => {
    test('bytes pass untouched both ways, compressed or not', async () => {
      const bytes = randomBytes(3_000_000);
      answer = (request, response) => {
        response.writeHead(200, { 'content-encoding': 'gzip' });
        request.pipe(response);
      };
      const run = await withServer(['invoke', 'a', '--query', 'b=c d', '--path', '/x'], bytes);
      const hash = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
      expect([run.code, hash(run.stdout)]).toEqual([0, hash(bytes)]);
      expect(requests).toEqual(['POST /function/a.openfaas-fn/x?b=c+d']);
    });

    test('without a body it is a GET, also when an empty pipe is standard input', async () => {
      answer = (_request, response) => void response.end('ok');
      await withServer(['invoke', 'a']);
      await withServer(['invoke', 'a'], new Uint8Array());
      await withServer(['invoke', 'a', '--method', 'delete', '--no-stdin'], Buffer.from('x'));
      const path = '/function/a.openfaas-fn';
      expect(requests).toEqual([`GET ${path}`, `GET ${path}`, `DELETE ${path}`]);
    });

    test('an answer other than 2xx is printed and ends with exit 1', async () => {
      answer = (_request, response) => void response.writeHead(418).end('teapot');
      const run = await withServer(['invoke', 'a', '--verbose']);
      expect([run.code, run.stdout.toString()]).toEqual([1, 'teapot']);
      expect(run.stderr).toContain('the function answered 418');
    });

    test('an error of the platform is a sentence, not a body', async () => {
      refuse(404, 'FUNCTION_NOT_FOUND', 'there is no function', { 'x-ebb-error': 'gateway' });
      const run = await withServer(['invoke', 'a']);
      expect([run.code, run.stdout.length]).toEqual([3, 0]);
      expect(run.stderr).toContain('error: there is no function');
    });

    test('an answer that breaks off is no success', async () => {
      answer = (_request, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('half', () => response.destroy());
      };
      const run = await withServer(['invoke', 'a']);
      expect([run.code, run.stdout.toString()]).toEqual([5, 'half']);
      expect(run.stderr).toContain('the answer was cut before its end');
    });

    test('--json holds bytes that are no text', async () => {
      answer = (_request, response) => void response.end(Buffer.from([0xff, 0x00]));
      const run = await withServer(['invoke', 'a', '--json']);
      expect(JSON.parse(run.stdout.toString())).toMatchObject({ status: 200, bodyBase64: '/wA=' });
    });
  });

  test('simulate compares the policies on a trace, without a server', async () => {
    const calls = Array.from({ length: 60 }, (_, index) => `${index * 1_800},timer,100ms,128Mi`);
    await writeFile(join(cwd, 'trace.csv'), ['time,function,duration,memory', ...calls].join('\n'));
    const { code, stdout } = await ebb(['simulate', 'trace.csv', '--policy', 'fixed', '--policy', 'auto', '--json']);
    const { results } = JSON.parse(stdout.toString()) as { results: { keepAlive: string; coldShare: number }[] };
    expect([code, results.map(({ keepAlive }) => keepAlive)]).toEqual([0, ['fixed', 'auto']]);
    expect(results[0]?.coldShare).toBe(1);
    expect(results[1]?.coldShare).toBeLessThan(0.2);
  });

  test.each([
    [['simulate', 'none.csv'], 'none.csv" cannot be read; name a CSV file (FILE_FAILED)'],
    [['simulate', 'bad.csv'], 'bad.csv: line 2: "memory" is "much" but must be'],
    [['simulate', 'bad.csv', '--policy', 'best'], '"--policy" is "best" but must be one of fixed, histogram,'],
    [['simulate', 'bad.csv', '--memory-budget', 'all'], '"--memory-budget" is "all" but must be a size such as 4Gi'],
  ])('%j is refused in words', async (words, message) => {
    await writeFile(join(cwd, 'bad.csv'), 'time,function,duration,memory\n1,f,1s,much\n');
    const { code, stderr } = await ebb(words);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  });
});

/** The function that the engine conformance suite runs in its instances. */
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';

/** What the probe may ask of the instance around it. */
export interface ProbeHost {
  env(name: string): string | undefined;
  secret(name: string): string | undefined;
  log(text: string, to: 'stdout' | 'stderr'): void;
  exit(code: number): void;
}

/**
 * Answers `/env?name=`, `/secret?name=`, `/log?text=&to=`, `/later?ms=&text=` (logs after `ms`), `/echo`, `/exit?code=`
 * and `/hang` (never); anything else with `probe`.
 */
export function answerProbe(request: IncomingMessage, response: ServerResponse, host: ProbeHost): void {
  const url = new URL(request.url ?? '/', 'http://probe');
  const parameter = (name: string) => url.searchParams.get(name) ?? '';
  const answer = (text: string | undefined) => {
    response.statusCode = text === undefined ? 404 : 200;
    response.end(text);
  };
  switch (url.pathname) {
    case '/env':
      return answer(host.env(parameter('name')));
    case '/secret':
      return answer(host.secret(parameter('name')));
    case '/log':
      host.log(parameter('text'), parameter('to') === 'stderr' ? 'stderr' : 'stdout');
      return answer('logged');
    case '/later':
      setTimeout(() => host.log(parameter('text'), 'stdout'), Number(parameter('ms')));
      return answer('later');
    case '/echo':
      request.pipe(response);
      return;
    case '/exit':
      return host.exit(Number(parameter('code')));
    case '/hang':
      response.writeHead(200).write('hanging');
      return;
    default:
      return answer('probe');
  }
}

/** The probe as a function of the Node runtime. */
export function probe(request: IncomingMessage, response: ServerResponse): void {
  answerProbe(request, response, {
    env: (name) => process.env[name],
    secret(name) {
      try {
        return readFileSync(join(process.env['EBB_SECRETS_DIR'] ?? '/var/openfaas/secrets', name), 'utf8');
      } catch {
        return undefined;
      }
    },
    log(text, to) {
      if (to === 'stderr') console.error(text);
      else console.log(text);
    },
    exit: (code) => process.exit(code),
  });
}

export { probe as default };

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { once } from 'node:events';

/** An nginx that proxies to one unix socket. */
export interface Nginx extends AsyncDisposable {
  readonly url: string;
  /** Worker processes: those that carry requests. */
  readonly pids: readonly number[];
}

/**
 * Starts nginx with one worker as a plain reverse proxy with keep-alive to unix sockets: to one, or by path to one of
 * several. `directives` go to its location.
 */
export async function startNginx(target: string | ReadonlyMap<string, string>, directives = ''): Promise<Nginx> {
  const directory = await mkdtemp('/tmp/ebb-bench-nginx-');
  const port = await freePort();
  const sockets = typeof target === 'string' ? [target] : [...target.values()];
  const paths = typeof target === 'string' ? [] : [...target.keys()];
  const upstreams = sockets.map(
    (path, index) => `upstream f${index} { server unix:${path}; keepalive 256; keepalive_requests 100000000; }`,
  );
  const routes = paths.map((path, index) => `${path} f${index};`);
  // A variable costs a little, so one target goes without.
  const map = paths.length === 0 ? '' : `map $uri $function { default f0; ${routes.join(' ')} }`;
  const config = `
worker_processes 1; daemon off; pid ${directory}/pid; error_log ${directory}/error.log; user root;
events { worker_connections 1024; }
http {
  access_log off; client_body_temp_path ${directory}/b; proxy_temp_path ${directory}/p; fastcgi_temp_path ${directory}/f;
  uwsgi_temp_path ${directory}/u; scgi_temp_path ${directory}/s; keepalive_requests 100000000;
  ${upstreams.join('\n  ')}
  ${map}
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://${map === '' ? 'f0' : '$function'}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; ${directives} }
  }
}`;
  const path = join(directory, 'nginx.conf');
  await writeFile(path, config);
  const child = spawn('nginx', ['-c', path, '-p', directory], { stdio: 'inherit' });
  const url = `http://127.0.0.1:${port}/`;
  for (let attempt = 0; ; attempt += 1) {
    try {
      const response = await fetch(url);
      await response.text();
      if (!response.ok) throw new Error(`nginx cannot reach the function: ${response.status}`);
      break;
    } catch (error) {
      if (attempt > 100 || child.exitCode !== null) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ').map(Number);
  return {
    url,
    pids: children,
    [Symbol.asyncDispose]: async () => {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

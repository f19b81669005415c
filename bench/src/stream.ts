import { type IncomingMessage, request as httpRequest } from 'node:http';
import { once } from 'node:events';
import { median, residentBytes } from './measure.ts';
import type { Report } from './report.ts';
import { functionDir, instanceSockets, startEbb } from './start-ebb.ts';
import { startNginx } from './start-nginx.ts';

const MEGABYTES = 100;
const PIECE = Buffer.alloc(65_536, 'x');

/** A hundred megabytes up and down through a function: how fast beside nginx, and what the server holds meanwhile. */
export async function benchStream(report: Report, options: { readonly rounds: number }): Promise<void> {
  await using ebb = await startEbb('process');
  await ebb.deploy('stream', await ebb.upload(functionDir('stream')), {
    scale: { min: 1, max: 1, freezeAfter: 'off' },
  });
  await (await fetch(`${ebb.url}/function/stream`)).text();
  const [socket = ''] = await instanceSockets(ebb, 'stream');
  await using nginx = await startNginx(socket, 'client_max_body_size 0; proxy_request_buffering off;');
  const viaEbb = `${ebb.url}/function/stream`;
  const rates: Record<'nginx-up' | 'nginx-down' | 'ebb-up' | 'ebb-down', number[]> = {
    'nginx-up': [],
    'nginx-down': [],
    'ebb-up': [],
    'ebb-down': [],
  };
  const beforeBytes = residentBytes(ebb.pid);
  let peakBytes = beforeBytes;
  const watch = setInterval(() => (peakBytes = Math.max(peakBytes, residentBytes(ebb.pid))), 5);
  for (let round = 0; round < options.rounds; round += 1) {
    for (const [name, url] of [
      ['nginx', nginx.url],
      ['ebb', viaEbb],
    ] as const) {
      rates[`${name}-up`].push(await upload(url));
      rates[`${name}-down`].push(await download(`${url}?mb=${MEGABYTES}`));
    }
  }
  clearInterval(watch);
  report.add({
    measure: `${MEGABYTES} MB streamed up and down: growth of the server's RSS`,
    value: (peakBytes - beforeBytes) / 2 ** 20,
    unit: 'MiB',
    bar: { atMost: 30 },
  });
  for (const way of ['up', 'down'] as const) {
    report.add({
      measure: `${MEGABYTES} MB streamed ${way}, of nginx's rate`,
      value: median(rates[`ebb-${way}`]) / median(rates[`nginx-${way}`]),
      unit: '',
      bar: { atLeast: 0.6 },
      detail: { nginx: rates[`nginx-${way}`], ebb: rates[`ebb-${way}`] },
    });
  }
}

/** MB a second. */
async function upload(url: string): Promise<number> {
  const startedMs = performance.now();
  const request = httpRequest(url, { method: 'POST', headers: { 'content-length': MEGABYTES * 2 ** 20 } });
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  for (let left = MEGABYTES * 16; left > 0; left -= 1) if (!request.write(PIECE)) await once(request, 'drain');
  request.end();
  const [response] = await answered;
  let text = '';
  for await (const chunk of response) text += String(chunk);
  if (Number(text) !== MEGABYTES * 2 ** 20) throw new Error(`the function got ${text} bytes of ${MEGABYTES} MB`);
  return MEGABYTES / ((performance.now() - startedMs) / 1000);
}

async function download(url: string): Promise<number> {
  const startedMs = performance.now();
  const request = httpRequest(url).end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let bytes = 0;
  for await (const chunk of response) bytes += (chunk as Buffer).length;
  if (bytes !== MEGABYTES * 2 ** 20) throw new Error(`${bytes} bytes came instead of ${MEGABYTES} MB`);
  return MEGABYTES / ((performance.now() - startedMs) / 1000);
}

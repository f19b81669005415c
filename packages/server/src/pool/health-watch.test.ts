import type { RequestListener } from 'node:http';
import { expect, test } from 'vitest';
import { createGatewayHarness, eventually } from '../../../../testing/harness/gateway.ts';

const often = (kind: 'health' | 'ready', path: string) => ({
  [`com.openfaas.${kind}.http.path`]: path,
  [`com.openfaas.${kind}.http.periodSeconds`]: '1',
  [`com.openfaas.${kind}.http.failureThreshold`]: '1',
});

test('an instance that says it is not well is replaced', async () => {
  let made = 0;
  let sick = 0;
  const serve = (): RequestListener => {
    const number = (made += 1);
    return (request, response) =>
      response.writeHead(request.url === '/live' && number === sick ? 503 : 200).end(`${number}`);
  };
  await using harness = await createGatewayHarness({ serve });
  await harness.deploy('asked', { image: 'i', openfaas: {}, annotations: often('health', '/live'), scale: { min: 1 } });
  const text = async () => (await fetch(`${harness.url}/function/asked`)).text();
  expect(await text()).toBe('1');
  sick = 1;
  await eventually(async () => (await text()) === '2');
  expect(harness.lines.map((line) => line.text)).toContainEqual(
    expect.stringContaining('says on /live that it takes no calls, and is replaced'),
  );
});

test('an instance that says it takes no calls gets none until it says otherwise', async () => {
  let isReady = true;
  const serve = (): RequestListener => (request, response) => {
    response.writeHead(request.url === '/able' && !isReady ? 503 : 200).end();
  };
  await using harness = await createGatewayHarness({ serve });
  const annotations = { ...often('health', '/live'), ...often('ready', '/able') };
  await harness.deploy('asked', { image: 'i', openfaas: {}, annotations, scale: { max: 1 }, queue: { wait: '50ms' } });
  const status = async () => (await fetch(`${harness.url}/function/asked`)).status;
  expect(await status()).toBe(200);
  isReady = false;
  await eventually(async () => (await status()) === 503);
  isReady = true;
  await eventually(async () => (await status()) === 200);
  expect(harness.engine.createCount()).toBe(1);
});

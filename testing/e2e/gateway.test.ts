import { createHash, randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOnEngines } from '../harness/engines.ts';
import { deployLab, waitForLog } from '../harness/lab.ts';
import { startTestServer, type TestServer } from '../harness/server.ts';

describeOnEngines('the gateway', (engine) => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startTestServer({ engine });
    await deployLab(server, 'lab', ['--timeout', '3s']);
  });

  afterAll(() => server?.[Symbol.asyncDispose]());

  test('passes large bodies both ways unchanged', async () => {
    const body = randomBytes(20 * 2 ** 20);
    const response = await fetch(server.functionUrl('lab', '/echo'), { method: 'POST', body });
    const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
    expect(digest(new Uint8Array(await response.arrayBuffer()))).toBe(digest(body));
  });

  test('streams: the answer begins before the request has ended', async () => {
    const url = new URL(server.functionUrl('lab', '/echo'));
    const outgoing = httpRequest(url, { method: 'POST' });
    const answered = new Promise<string>((resolve, reject) => {
      outgoing.on('error', reject);
      outgoing.on('response', (response) => {
        response.once('data', (chunk: Buffer) => {
          resolve(chunk.toString());
          outgoing.end();
          response.resume();
        });
      });
    });
    outgoing.write('first');
    expect(await answered).toBe('first');
  });

  test('passes server-sent events as they come, and tells the function when the listener goes away', async () => {
    const leave = new AbortController();
    const response = await fetch(server.functionUrl('lab', '/ticks?ms=50'), { signal: leave.signal });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let seen = '';
    while (!seen.includes('data: 2')) seen += (await reader?.read())?.value ?? '';
    leave.abort();
    await waitForLog(server, 'lab', 'the listener went away');
    expect(seen).toMatch(/^data: 0\n\ndata: 1\n\n/);
  });

  test('tells the function when the caller goes away before the answer', async () => {
    const signal = AbortSignal.timeout(300);
    await expect(fetch(server.functionUrl('lab', '/slow?ms=2500'), { signal })).rejects.toThrow();
    await waitForLog(server, 'lab', 'the caller went away');
  });

  test('G4: a call ends with 504 when the function takes longer than its timeout', async () => {
    const response = await fetch(server.functionUrl('lab', '/slow?ms=60000'));
    expect(response.status).toBe(504);
    expect(await response.json()).toMatchObject({ code: 'FUNCTION_TIMEOUT', component: 'gateway' });
  });

  test('a crash is 502 for its caller, and calls are served again at once', async () => {
    const crashed = await fetch(server.functionUrl('lab', '/crash'));
    expect(crashed.status).toBe(502);
    expect(await crashed.json()).toMatchObject({
      code: 'INSTANCE_CRASHED',
      callId: crashed.headers.get('x-call-id'),
    });
    // A connection that dies with the process may still take a call for a moment (G3 forbids to send that one twice).
    await expect
      .poll(async () => (await fetch(server.functionUrl('lab', '/who'))).status, { timeout: 2_000, interval: 20 })
      .toBe(200);
  });

  test('an unknown function is 404 with the call id in header and body', async () => {
    const response = await fetch(`${server.url}/function/nobody`, { headers: { 'x-call-id': 'mine' } });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({
      code: 'FUNCTION_NOT_FOUND',
      callId: response.headers.get('x-call-id'),
    });
  });

  test('the status and path of the function itself are its own', async () => {
    const response = await fetch(server.functionUrl('lab', '/not/here?x=1'));
    expect({ status: response.status, text: await response.text() }).toEqual({
      status: 404,
      text: 'nothing at /not/here',
    });
  });

  test('G5: headers of the platform cannot be forged from outside', async () => {
    const response = await fetch(server.functionUrl('lab', '/headers'), {
      headers: { 'x-ebb-deadline': '1', 'x-start-time': '1' },
    });
    const seen = (await response.json()) as Record<string, string>;
    expect(Number(seen['x-ebb-deadline'])).toBeGreaterThan(Date.now());
    expect(seen['x-start-time']).not.toBe('1');
    expect(seen['x-call-id']).toBe(response.headers.get('x-call-id'));
  });
});

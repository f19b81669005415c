import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { createGatewayHarness, eventually } from '../../../../testing/harness/gateway.ts';
import { openWire, talk } from '../../../../testing/harness/talk.ts';

/** Answers with what it was asked and given. */
const echo: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    response.setHeader('Content-Length', body.length + (request.url?.length ?? 0));
    response.end(Buffer.concat([Buffer.from(request.url ?? ''), body]));
  });
};
const get = (path: string, ...more: string[]) =>
  ['GET /function/f' + path + ' HTTP/1.1', 'Host: a', ...more, '', ''].join('\r\n');
const answers = (text: string) =>
  text.split(/(?=HTTP\/1\.1 )/).map((answer) => answer.slice(answer.indexOf('\r\n\r\n') + 4));

describe('a connection', () => {
  test('may change lanes at any request, and every request is answered once and in order', async () => {
    await using harness = await createGatewayHarness({ serve: () => echo });
    await harness.deploy('f');
    const { socket, text } = openWire(harness.port, get('/1'));
    const steps = [
      ['POST /function/f/2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc', '/2abc'],
      ['POST /function/f/3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n', '/3abc'],
      [get('/4'), '/4'],
      ['GET /elsewhere HTTP/1.1\r\nHost: a\r\n\r\n', 'elsewhere'],
      [get('/5'), '/5'],
    ] as const;
    await eventually(() => text().endsWith('/1'));
    for (const [request, answer] of steps) {
      socket.write(request, 'latin1');
      await eventually(() => text().includes(answer));
    }
    expect(answers(text()).filter((body) => body.startsWith('/'))).toEqual(['/1', '/2abc', '/3abc', '/4', '/5']);
    socket.destroy();
  });

  test.each([1, 7, 40])('whose request comes in pieces of %i bytes is served', async (size) => {
    await using harness = await createGatewayHarness({ serve: () => echo });
    await harness.deploy('f');
    const whole = 'POST /function/f/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello';
    const { socket, text } = openWire(harness.port, whole.slice(0, size));
    for (let at = size; at < whole.length; at += size) {
      await new Promise(setImmediate);
      socket.write(whole.slice(at, at + size));
    }
    await eventually(() => text().endsWith('/xhello'));
    socket.destroy();
  });

  test('may bring its next requests before the first is answered', async () => {
    let release: (() => void) | undefined;
    const serve = (): RequestListener => (request, response) => {
      if (request.url === '/slow') release = () => response.end('/slow');
      else echo(request, response);
    };
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('f');
    const { socket, text } = openWire(harness.port, get('/slow'));
    await eventually(() => release !== undefined);
    socket.write(get('/2'));
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.write(get('/3') + get('/4'));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(text()).toBe('');
    release?.();
    await eventually(() => text().endsWith('/4'));
    expect(answers(text()).filter(Boolean)).toEqual(['/slow', '/2', '/3', '/4']);
    socket.destroy();
  });

  test('is closed when the request says so, and kept when it does not', async () => {
    await using harness = await createGatewayHarness({ serve: () => echo });
    await harness.deploy('f');
    expect(await talk(harness.port, get('/a', 'Connection: close'))).toMatch(/\r\nConnection: close\r\n[^]*\/a$/);
    const { socket, text, isClosed } = openWire(harness.port, get('/b'));
    await eventually(() => text().endsWith('/b'));
    expect(text()).toContain('\r\nConnection: keep-alive\r\n');
    expect(text()).toMatch(/\r\nDate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n/);
    expect(isClosed()).toBe(false);
    socket.destroy();
  });

  test('that leaves aborts the function’s request and gives the slot back', async () => {
    let aborted = false;
    const serve = (): RequestListener => (_request, response: ServerResponse) => {
      response.on('close', () => (aborted = true));
    };
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('f');
    const { socket } = openWire(harness.port, get('/'));
    await eventually(() => harness.gateway.running === 1 && [...harness.pools.all()][0]?.inFlight === 1);
    socket.destroy();
    await eventually(() => aborted && harness.gateway.running === 0);
    expect(harness.events.at(-1)?.status).toBe(499);
  });
});

describe('what a function streams', () => {
  const serve = (): RequestListener => (request: IncomingMessage, response: ServerResponse) => {
    if (request.url === '/trailers') {
      response.writeHead(200, { Trailer: 'X-Sum' });
      response.write('one');
      response.addTrailers({ 'X-Sum': '3' });
      response.end('two');
    } else if (request.url === '/cut') {
      response.writeHead(200, { 'Content-Length': 10 });
      response.write('half', () => response.destroy());
    } else if (request.url === '/head') {
      response.setHeader('Content-Length', 7);
      response.end();
    } else response.end('x'.repeat(20_000_000));
  };

  test('comes in chunks when its length is not known, trailers last', async () => {
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('f');
    const answer = await talk(harness.port, get('/trailers', 'Connection: close'));
    expect(answer).toMatch(/\r\nTransfer-Encoding: chunked\r\n[^]*\r\n\r\n[^]*two\r\n0\r\nX-Sum: 3\r\n\r\n$/);
  });

  test('and cuts is cut for the caller too, who cannot take the part for the whole', async () => {
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('f');
    await expect(fetch(`${harness.url}/function/f/cut`).then((response) => response.text())).rejects.toThrow(
      /terminated/,
    );
    expect(harness.events.at(-1)).toMatchObject({ errorCode: 'INSTANCE_CRASHED' });
  });

  test('reaches a caller who reads slowly in full, without being gathered here', async () => {
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('f');
    const { socket, text } = openWire(harness.port, get('/big', 'Connection: close'));
    socket.pause();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(harness.events).toHaveLength(0);
    socket.resume();
    await eventually(() => text().length > 20_000_000);
    expect(text().slice(text().indexOf('\r\n\r\n') + 4)).toBe('x'.repeat(20_000_000));
  });

  test('to HEAD is its length and nothing more', async () => {
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('f');
    const answer = await talk(harness.port, get('/head', 'Connection: close').replace('GET', 'HEAD'));
    expect(answer).toMatch(/\r\nContent-Length: 7\r\n[^]*\r\n\r\n$/);
  });
});

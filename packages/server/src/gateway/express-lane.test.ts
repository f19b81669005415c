import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
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

describe('a connection that changed lanes after plain calls', () => {
  /** Opens a connection, has a plain call answered on it, and sends what makes it change. */
  async function change(port: number, bytes: string, options: { readonly allowHalfOpen?: boolean } = {}) {
    const wire = openWire(port, get('/plain'), options);
    await eventually(() => wire.text().endsWith('/plain'));
    wire.socket.write(bytes, 'latin1');
    return wire;
  }

  test.each([
    ['in one piece', false],
    ['faster than the function reads', true],
  ])('carries a large body %s unchanged', async (_how, isSlow) => {
    const sent = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => i % 251));
    let got = Buffer.alloc(0);
    const serve = (): RequestListener => (request, response) => {
      if (request.url === '/plain') return echo(request, response);
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        if (!isSlow) return;
        request.pause();
        setTimeout(() => request.resume(), 1);
      });
      request.on('end', () => {
        got = Buffer.concat(chunks);
        response.end('had it all');
      });
    };
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('f');
    const { socket, text } = await change(
      harness.port,
      `POST /function/f/big HTTP/1.1\r\nHost: a\r\nContent-Length: ${sent.length}\r\n\r\n`,
    );
    socket.write(sent);
    await eventually(() => text().includes('had it all'));
    expect(got.equals(sent)).toBe(true);
    socket.write(get('/plain'));
    await eventually(() => text().endsWith('/plain'));
    socket.destroy();
  });

  test('in the middle of a request that came while another was answered', async () => {
    let release: (() => void) | undefined;
    const serve = (): RequestListener => (request, response) => {
      if (request.url === '/slow') release = () => response.end('/slow');
      else echo(request, response);
    };
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('f');
    const { socket, text } = await change(harness.port, get('/slow'));
    await eventually(() => release !== undefined);
    socket.write('POST /function/f/split HTTP/1.1\r\nHost: a\r\nContent-Len');
    await new Promise((resolve) => setTimeout(resolve, 10));
    release?.();
    await eventually(() => text().endsWith('/slow'));
    socket.write('gth: 6\r\n\r\nabc');
    await new Promise((resolve) => setTimeout(resolve, 10));
    socket.write(`def${get('/after')}`);
    await eventually(() => text().endsWith('/after'));
    expect(answers(text()).filter(Boolean)).toEqual(['/plain', '/slow', '/splitabcdef', '/after']);
    socket.destroy();
  });

  test('waits when it brings more than is kept of what comes next, and loses nothing', async () => {
    let release: (() => void) | undefined;
    const serve = (): RequestListener => (request, response) => {
      if (request.url === '/slow') release = () => response.end('/slow');
      else echo(request, response);
    };
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('f');
    const { socket, text } = await change(harness.port, get('/slow'));
    await eventually(() => release !== undefined);
    const body = 'x'.repeat(1_000_000);
    socket.write(`POST /function/f/next HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
    release?.();
    await eventually(() => text().length > body.length);
    expect(answers(text())).toEqual(expect.arrayContaining(['/slow', `/next${body}`]));
    socket.destroy();
  });

  test('becomes a WebSocket, whose bytes flow both ways and whose end is seen', async () => {
    let ended = 0;
    const serve = () => {
      const server = createServer(echo);
      server.on('upgrade', (_request, socket) => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
        socket.on('data', (chunk: Buffer) => socket.write(chunk));
        socket.on('error', () => {});
        socket.on('end', () => socket.end());
        socket.on('close', () => (ended += 1));
      });
      return server;
    };
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('f');
    const upgrade = get('/chat', 'Connection: Upgrade', 'Upgrade: websocket');
    const { socket, text, isClosed } = await change(harness.port, `${upgrade}early`);
    await eventually(() => text().endsWith('early'));
    const many = 'y'.repeat(500_000);
    socket.write(many);
    await eventually(() => text().endsWith(`early${many}`));
    socket.end();
    await eventually(() => ended === 1 && isClosed() && harness.gateway.running === 0);
  });

  test.each(['end', 'destroy', 'resetAndDestroy'] as const)('has its call aborted when it leaves (%s)', async (way) => {
    let aborted = false;
    const serve = (): RequestListener => (request, response) => {
      if (request.url !== '/hangs') return echo(request, response);
      request.resume();
      response.on('close', () => (aborted = true));
    };
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('f');
    const { socket } = await change(
      harness.port,
      'POST /function/f/hangs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    );
    await eventually(() => harness.gateway.running === 1);
    socket[way]();
    await eventually(() => aborted && harness.gateway.running === 0);
    expect(harness.events.at(-1)?.status).toBe(499);
  });

  test('gets no more than an error for what is not HTTP', async () => {
    await using harness = await createGatewayHarness({ serve: () => echo });
    await harness.deploy('f');
    const { text, isClosed } = await change(harness.port, 'nonsense\r\n\r\n');
    await eventually(isClosed);
    expect(text()).toMatch(/\/plainHTTP\/1\.1 400 [^]*BAD_REQUEST/);
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

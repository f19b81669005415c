import { createServer, type IncomingMessage } from 'node:http';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listenOnLoopback } from '../../../../../testing/harness/gateway.ts';
import { talk } from '../../../../../testing/harness/talk.ts';
import { readPlainRequest } from './request-head.ts';

describe('a plain request', () => {
  test('is read as it stands, one character a byte', () => {
    const text =
      'POST /a?b=%20 HTTP/1.1\r\nHost: h\r\nX-Å: no\r\n'.replace('X-Å', 'X-A') +
      'Content-Length: 2\r\nY:  \t v \r\n\r\n\xff\x00';
    expect(readPlainRequest(text)).toEqual({
      method: 'POST',
      target: '/a?b=%20',
      headers: ['Host', 'h', 'X-A', 'no', 'Content-Length', '2', 'Y', 'v'],
      body: '\xff\x00',
      keepAlive: true,
      host: 'h',
      isAddressed: false,
    });
  });

  test.each([
    ['an incomplete head', 'GET / HTTP/1.1\r\nHost: a\r\n'],
    ['an incomplete body', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab'],
    ['a second request behind it', 'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n'],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na'],
    ['a signed length', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na'],
    ['a list of lengths', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na'],
    ['chunks', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['chunks and a length', 'POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: x\r\nContent-Length: 0\r\n\r\n'],
    ['no host', 'GET / HTTP/1.1\r\n\r\n'],
    ['two hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n'],
    ['a continued line', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n'],
    ['space before a colon', 'GET / HTTP/1.1\r\nHost : a\r\n\r\n'],
    ['a bare line feed', 'GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n'],
    ['a bare carriage return', 'GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n'],
    ['a zero byte', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n'],
    ['an empty name', 'GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n'],
    ['an absolute target', 'GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['space in the target', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a\r\n\r\n'],
    ['an upgrade', 'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'],
    ['headers for the hop alone', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-A\r\n\r\n'],
    ['an expectation', 'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na'],
    ['a method that is rare', 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ])('is not %s', (_what, text) => {
    expect(readPlainRequest(text)).toBeUndefined();
  });
});

describe('G5: beside Node’s own parser', () => {
  const seen: { request: IncomingMessage; body: string }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      seen.push({ request, body: Buffer.concat(chunks).toString('latin1') });
      response.end();
    });
  });
  let port = 0;
  beforeAll(async () => {
    port = await listenOnLoopback(server);
  });
  afterAll(() => server.close());

  // Pieces that parsers have disagreed about, in any order and number.
  const piece = fc.constantFrom(
    'Host: a',
    'host:b',
    'Content-Length: 2',
    'content-length:0',
    'Content-Length: 02',
    'Content-Length: 2,2',
    'Content-Length: 0x2',
    'Transfer-Encoding: chunked',
    'Transfer-Encoding : chunked',
    'transfer-encoding: xchunked',
    'Connection: close',
    'Connection: keep-alive',
    'Connection: x',
    'X: \t spaced\t ',
    'X:',
    ' X: folded',
    '\tX: y',
    'X\t: y',
    'X: \x00',
    'X: \x7f',
    'X: \xe4',
    'X: a\rb',
    'X: a\nb',
    'X-\xe4: y',
    'X Y: z',
    ': x',
    'noColon',
    'X: a:b',
    'Expect: 100-continue',
  );
  const line = fc.constantFrom(
    'GET / HTTP/1.1',
    'POST /a?b#c HTTP/1.1',
    'GET  / HTTP/1.1',
    'GET / HTTP/1.0',
    'GET /\xe4 HTTP/1.1',
    'GET /\t HTTP/1.1',
    'get / HTTP/1.1',
    'GET / HTTP/1.1 ',
    ' GET / HTTP/1.1',
    'PUT /%00 HTTP/1.1',
    'GET a HTTP/1.1',
    'DELETE // HTTP/1.1',
  );
  const end = fc.oneof({ arbitrary: fc.constant('\r\n'), weight: 20 }, fc.constantFrom('\n', '\r'));
  const body = fc.constantFrom('', '', 'ab', '0\r\n\r\n', 'abGET / HTTP/1.1\r\nHost: a\r\n\r\n');

  test('what is read here, Node reads as the same single request', async () => {
    const request = fc
      .tuple(line, fc.array(fc.tuple(piece, end), { maxLength: 5 }), end, end, body)
      .map(([first, headers, firstEnd, last, rest]) => {
        return `${first}${firstEnd}Host: a\r\n${headers.map(([text, lineEnd]) => text + lineEnd).join('')}${last}${rest}`;
      });
    const texts = fc.sample(request, { numRuns: 20_000, seed: 26 }).filter((text) => readPlainRequest(text));
    expect(new Set(texts).size).toBeGreaterThan(50);
    for (const text of new Set(texts)) {
      const plain = readPlainRequest(text);
      seen.length = 0;
      const closing = text.replace('\r\n', '\r\nConnection: close\r\n');
      await talk(
        port,
        plain?.keepAlive === true && !/connection/i.test(text) ? closing : text.replace(/keep-alive/i, 'close'),
      );
      expect(
        seen.map(({ request: { method, url }, body: read }) => ({ method, url, read })),
        JSON.stringify(text),
      ).toEqual([{ method: plain?.method, url: plain?.target, read: plain?.body ?? '' }]);
      const headers = (raw: readonly string[]) =>
        raw
          .join('\n')
          .replace(/Connection\n(?:close|keep-alive)\n?/gi, '')
          .trim();
      expect(headers(seen[0]?.request.rawHeaders ?? [])).toBe(headers(plain?.headers ?? []));
    }
  });
});

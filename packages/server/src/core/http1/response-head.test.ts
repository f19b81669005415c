import { describe, expect, test } from 'vitest';
import { readResponseHead } from './response-head.ts';

const read = (text: string, method = 'GET') => readResponseHead(text, text.length, method);

describe('the head of an answer', () => {
  test.each([
    ['HTTP/1.1 200 OK\r\nContent-Length: 5', 'GET', 'length', 5, undefined],
    ['HTTP/1.1 200 OK\r\nContent-Length: 5', 'HEAD', 'none', 0, undefined],
    ['HTTP/1.1 204 No Content\r\nContent-Length: 5', 'GET', 'none', 0, undefined],
    ['HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked', 'GET', 'none', 0, undefined],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked', 'GET', 'chunked', 0, undefined],
    ['HTTP/1.1 200 OK', 'GET', 'close', 0, 0],
    ['HTTP/1.1 200', 'GET', 'close', 0, 0],
    ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close', 'GET', 'length', 0, 0],
    ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=5, max=9', 'GET', 'length', 0, 5_000],
    ['HTTP/1.0 200 OK\r\nContent-Length: 0', 'GET', 'length', 0, 0],
    ['HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive', 'GET', 'length', 0, undefined],
  ] as const)('%j to %s ends by %s (%i bytes)', (text, method, framing, lengthBytes, keepAliveMs) => {
    expect(read(text, method)).toMatchObject({ framing, lengthBytes, keepAliveMs });
  });

  test.each([
    'HTTP/1.1 99 Low',
    'HTTP/2 200 OK',
    'HTTP/1.1  200 OK',
    'HTTP/1.1 200 \x07',
    'HTTP/1.1 200 OK\r\nContent-Length: -1',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1',
    'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked',
    'HTTP/1.1 200 OK\r\nX : y',
    'HTTP/1.1 200 OK\nX: y',
  ])('%j is refused', (text) => {
    expect(() => read(text)).toThrow(/answer/);
  });
});

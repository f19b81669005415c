import { describe, expect, test } from 'vitest';
import { formatListenAddress, parseListenAddress } from './listen-address.ts';

describe('parseListenAddress', () => {
  test.each([
    ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    [':8080', { host: '0.0.0.0', port: 8080 }],
    ['8080', { host: '0.0.0.0', port: 8080 }],
    ['[::1]:80', { host: '::1', port: 80 }],
  ])('reads %s, and writes it back in full', (text, address) => {
    expect(parseListenAddress(text)).toEqual(address);
    expect(parseListenAddress(formatListenAddress(address))).toEqual(address);
  });

  test.each(['', 'host', 'host:', 'host:65536', '::1:80', 'http://host:80', 'host:80/x', '-a:80', 'a b:80', ':-1'])(
    'refuses %j',
    (text) => {
      expect(parseListenAddress(text)).toBeUndefined();
    },
  );
});

import { expect, test } from 'vitest';
import { clientUrl } from './client-url.ts';

test('a server that listens everywhere is reached on the loopback address, any other where it listens', () => {
  const urls = ['0.0.0.0', '::', '::1', '10.0.0.1', 'localhost'].map((host) => clientUrl({ host, port: 80 }));
  expect(urls).toEqual([
    'http://127.0.0.1:80',
    'http://[::1]:80',
    'http://[::1]:80',
    'http://10.0.0.1:80',
    'http://localhost:80',
  ]);
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApi } from '../../../../../testing/harness/api.ts';

let server: Awaited<ReturnType<typeof startApi>>;
beforeAll(async () => {
  server = await startApi();
  await server.send('POST', '/system/functions', { service: 'known', image: 'a:1' });
  await server.send('POST', '/system/secrets', { name: 'known', value: 'x' });
  await server.send('POST', '/system/namespace/', { name: 'known', labels: { openfaas: '1' } });
});
afterAll(() => server.stop());

const FUNCTIONS = '/system/functions';
const hello = (more: object) => ({ service: 'hello', image: 'a:1', ...more });

describe('what is wrong is answered with its status and one sentence of plain text', () => {
  test.each<[string, string, string, unknown, number, string]>([
    ['a deploy that is not JSON', 'POST', FUNCTIONS, '{"service": nope}', 400, 'the body is not valid JSON'],
    ['a deploy without a body', 'POST', FUNCTIONS, undefined, 400, 'the body is empty but must be JSON'],
    ['a deploy that is a list', 'POST', FUNCTIONS, '[]', 400, 'the body is a list but must be an object'],
    ['a deploy nested too deep', 'POST', FUNCTIONS, '['.repeat(9_999), 400, 'nested deeper than 32 levels'],
    ['a deploy that is too large', 'POST', FUNCTIONS, ' '.repeat(70_000), 413, 'the body is larger than 64 KiB'],
    ['a deploy without a name', 'POST', FUNCTIONS, { image: 'a:1' }, 400, '"service" is missing'],
    ['an empty name', 'POST', FUNCTIONS, hello({ service: '' }), 400, '"service" is "" but must be 1 to 63'],
    ['a name in capitals', 'POST', FUNCTIONS, hello({ service: 'Hello' }), 400, '"service" is "Hello" but must be'],
    ['a name with a dot', 'POST', FUNCTIONS, hello({ service: 'a.b' }), 400, '"service" is "a.b" but must be'],
    ['a name with a path', 'POST', FUNCTIONS, hello({ service: '../a' }), 400, '"service" is "../a" but must be'],
    ['a name of 64 characters', 'POST', FUNCTIONS, hello({ service: 'a'.repeat(64) }), 400, '"service" is "aaaa'],
    ['a deploy without an image', 'POST', FUNCTIONS, { service: 'hello' }, 400, '"image" is missing'],
    ['an empty image', 'POST', FUNCTIONS, hello({ image: '' }), 400, '"image" is "" but must be at least 1 character'],
    ['an image that is none', 'POST', FUNCTIONS, hello({ image: 'a b' }), 400, '"image" is "a b" but must be an image'],
    ['an image too long', 'POST', FUNCTIONS, hello({ image: 'a'.repeat(600) }), 400, 'must be an image reference'],
    [
      'a secret that is missing',
      'POST',
      FUNCTIONS,
      hello({ secrets: ['nothing'] }),
      400,
      '"secrets" names "nothing", which namespace "openfaas-fn" does not have',
    ],
    ['a secret with a path', 'POST', FUNCTIONS, hello({ secrets: ['../key'] }), 400, '"secrets.0" is "../key" but'],
    ['a namespace there is not', 'POST', FUNCTIONS, hello({ namespace: 'nope' }), 400, 'no namespace "nope"'],
    ['a label that is no text', 'POST', FUNCTIONS, hello({ labels: { a: 1 } }), 400, '"labels.a" is 1 but must be'],
    ['a label too long', 'POST', FUNCTIONS, hello({ labels: { a: 'x'.repeat(17_000) } }), 400, '"labels.a" is "xxx'],
    ['a variable that cannot be', 'POST', FUNCTIONS, hello({ envVars: { 'a-b': '' } }), 400, '"envVars.a-b"'],
    [
      'a limit that is none',
      'POST',
      FUNCTIONS,
      hello({ limits: { memory: 'lots' } }),
      400,
      '"limits.memory" is "lots"',
    ],
    ['a limit of nothing', 'POST', FUNCTIONS, hello({ limits: { cpu: '0' } }), 400, '"limits.cpu" is "0"'],
    ['a function that is there', 'POST', FUNCTIONS, { service: 'known', image: 'a:1' }, 409, 'already; update it'],
    ['an update of none', 'PUT', FUNCTIONS, hello({}), 404, 'there is no function "hello"'],
    ['an update of none, wrong besides', 'PUT', FUNCTIONS, hello({ secrets: ['nothing'] }), 404, 'no function "hello"'],
    ['an update in no namespace', 'PUT', FUNCTIONS, hello({ namespace: 'nope' }), 404, 'in namespace "nope"'],
    ['an update to no image', 'PUT', FUNCTIONS, { service: 'known' }, 400, '"image" is missing'],
    ['a removal without a body', 'DELETE', FUNCTIONS, undefined, 400, 'the body is empty but must be JSON'],
    ['a removal of no name', 'DELETE', FUNCTIONS, { functionName: '' }, 400, '"functionName" is "" but must be'],
    ['a removal of none', 'DELETE', FUNCTIONS, { functionName: 'hello' }, 404, 'there is no function "hello"'],
    ['the list of no namespace', 'GET', `${FUNCTIONS}?namespace=nope`, undefined, 400, 'there is no namespace "nope"'],
    ['scaling without a number', 'POST', '/system/scale-function/known', {}, 400, '"replicas" is missing'],
    ['scaling below zero', 'POST', '/system/scale-function/known', { replicas: -1 }, 400, '"replicas" is -1 but'],
    ['scaling to a part', 'POST', '/system/scale-function/known', { replicas: 1.5 }, 400, '"replicas" is 1.5 but'],
    ['scaling too far', 'POST', '/system/scale-function/known', { replicas: 1_001 }, 400, 'must be at most 1000'],
    ['scaling none', 'POST', '/system/scale-function/hello', { replicas: 1 }, 404, 'there is no function "hello"'],
    [
      'scaling another one than the path says',
      'POST',
      '/system/scale-function/known',
      { serviceName: 'other', replicas: 1 },
      400,
      '"serviceName" is "other" but the path names "known"',
    ],
    ['a secret without a name', 'POST', '/system/secrets', { value: 'x' }, 400, '"name" is missing'],
    ['a secret of no name', 'POST', '/system/secrets', { name: '', value: 'x' }, 400, '"name" is "" but must be'],
    ['a secret of a path', 'POST', '/system/secrets', { name: '../../etc', value: 'x' }, 400, '"name" is "../../etc"'],
    ['a secret that is there', 'POST', '/system/secrets', { name: 'known', value: 'x' }, 409, 'already; update it'],
    ['a secret in no namespace', 'POST', '/system/secrets', { name: 'a', namespace: 'nope' }, 400, '"nope"'],
    ['raw bytes that are not base64', 'POST', '/system/secrets', { name: 'a', rawValue: '%' }, 400, 'must be base64'],
    ['an update of no secret', 'PUT', '/system/secrets', { name: 'a', value: 'x' }, 404, 'there is no secret "a"'],
    ['a removal of no secret', 'DELETE', '/system/secrets', { name: 'a' }, 404, 'there is no secret "a"'],
    ['secrets of no namespace', 'GET', '/system/secrets?namespace=nope', undefined, 400, 'no namespace "nope"'],
    ['a namespace without a mark', 'POST', '/system/namespace', { name: 'new' }, 400, 'has "openfaas": "1"'],
    ['a namespace with another mark', 'POST', '/system/namespace', { name: 'new', labels: { openfaas: '0' } }, 400, ''],
    [
      'a namespace without a name',
      'POST',
      '/system/namespace',
      { labels: { openfaas: '1' } },
      400,
      '"name" is missing',
    ],
    [
      'a namespace that is there',
      'POST',
      '/system/namespace/',
      { name: 'known', annotations: { openfaas: '1' } },
      409,
      'there is a namespace "known" already',
    ],
    [
      'an update of another namespace than the path says',
      'PUT',
      '/system/namespace/known',
      { name: 'other', labels: { openfaas: '1' } },
      400,
      '"name" is "other" but the path names "known"',
    ],
    ['an update of no namespace', 'PUT', '/system/namespace/nope', { labels: { openfaas: '1' } }, 404, '"nope"'],
    ['a removal of no namespace', 'DELETE', '/system/namespace/nope', { name: 'nope' }, 404, '"nope"'],
    ['a removal of the default namespace', 'DELETE', '/system/namespaces/openfaas-fn', {}, 400, 'cannot be removed'],
    ['no namespace', 'GET', '/system/namespace/nope', undefined, 404, 'there is no namespace "nope"'],
    ['a wrong method', 'PATCH', FUNCTIONS, undefined, 405, 'PATCH is not possible on /system/functions'],
    ['a wrong method on one function', 'POST', '/system/function/known', '{}', 405, 'only GET'],
    ['a wrong method on health', 'POST', '/healthz', '{}', 405, 'only GET, HEAD'],
    ['a path there is not', 'GET', '/system/nothing', undefined, 404, 'nothing answers at /system/nothing'],
    ['a path that cannot be read', 'GET', '/system/function/%', undefined, 400, 'a "%" that encodes nothing'],
  ])('%s', async (_what, method, path, body, status, text) => {
    const response = await server.send(method, path, body);
    const answer = await response.text();
    expect([response.status, response.headers.get('content-type')]).toEqual([status, 'text/plain; charset=utf-8']);
    expect(answer).toContain(text);
    expect(answer).toMatch(/^[^\n]+\n$/);
  });

  test('one function that is not there has an empty body', async () => {
    for (const path of ['/system/function/hello', '/system/function/known?namespace=nope']) {
      const response = await server.send('GET', path);
      expect([response.status, await response.text()]).toEqual([404, '']);
    }
  });

  test('a wrong method is told which are possible', async () => {
    const response = await server.send('PATCH', FUNCTIONS);
    expect(response.headers.get('allow')).toBe('GET, POST, PUT, DELETE');
  });
});

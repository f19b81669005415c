import { text } from 'node:stream/consumers';
import { DEFAULT_NAMESPACE, type InvocationResource } from '@ebb/contract';
import { expect, test } from 'vitest';
import {
  createGatewayHarness,
  eventually,
  type GatewayHarnessOptions,
  HARNESS_AUTHORIZATION,
} from '../../../../testing/harness/gateway.ts';
import { openWire, talk } from '../../../../testing/harness/talk.ts';
import { EbbError } from '../core/errors.ts';
import type { GivenCall } from '../core/ports.ts';
import type { DoorGate, DoorPass } from './async-door.ts';

interface Accepted extends Omit<GivenCall, 'body'> {
  readonly text: string;
}

async function start(options: Partial<GatewayHarnessOptions> = {}) {
  const accepted: Accepted[] = [];
  const broken: unknown[] = [];
  const harness = await createGatewayHarness({
    serve: () => (_request, response) => void response.end('called'),
    acceptor: {
      async enqueue(call) {
        return (await this.receive(call)).queue();
      },
      async receive({ body, ...call }) {
        let said = '';
        if (body.kind === 'bytes') said = Buffer.from(body.bytes).toString();
        if (body.kind === 'chunks') {
          try {
            for await (const chunk of body.chunks) said += Buffer.from(chunk).toString();
          } catch (error) {
            broken.push(error);
            throw error;
          }
        }
        if (said === 'full') throw new EbbError('STORAGE_FULL', 'no space');
        if (said === 'defect') throw new TypeError('a defect');
        return {
          body: { kind: 'bytes', bytes: Buffer.from(said) },
          queue: () => {
            accepted.push({ ...call, text: said });
            return Promise.resolve({ id: `id-${accepted.length}`, duplicate: said === 'again' });
          },
        };
      },
    },
    ...options,
  });
  await harness.deploy('f');
  return Object.assign(harness, { accepted, broken });
}

/** The same request in one piece, which is plain, and with its body in chunks, which is not. */
function both(target: string, body: string, headers = ''): readonly string[] {
  const head = `POST ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${headers}`;
  const chunk = body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`;
  return [
    `${head}Content-Length: ${body.length}\r\n\r\n${body}`,
    `${head}Transfer-Encoding: chunked\r\n\r\n${chunk}0\r\n\r\n`,
  ];
}

test('a plain request and any other are accepted as the same call, and answered alike', async () => {
  await using gateway = await start();
  const headers = [
    'Content-Type: text/plain',
    'X-Own: 1',
    'X-Call-Id: forged',
    'X-Ebb-Attempt: 9',
    'X-Ebb-Priority: 7',
    'X-Ebb-Key: k',
    'X-Ebb-Max-Age: 1h',
    'Idempotency-Key: i',
    'X-Callback-Url: https://example.com/done',
    'X-Forwarded-For: 10.0.0.1',
    'Keep-Alive: 1',
    '',
  ].join('\r\n');
  for (const request of both('/async-function/f/a/b?c=%20d', 'hello', headers)) {
    const answer = await talk(gateway.port, request);
    expect(answer).toMatch(/^HTTP\/1\.1 202 Accepted\r\n/);
    expect(answer).toContain(`X-Call-Id: id-${gateway.accepted.length}\r\n`);
    expect(answer).toContain(`Location: /v1/invocations/id-${gateway.accepted.length}\r\n`);
    expect(answer).toMatch(/Content-Length: 0\r\n(?:[^\r]+\r\n)*\r\n$/);
    expect(answer).not.toContain('forged');
    expect(gateway.accepted.at(-1)).toEqual({
      namespace: DEFAULT_NAMESPACE,
      name: 'f',
      qualifier: '',
      method: 'POST',
      path: '/a/b?c=%20d',
      headers: ['Host', 'a', 'Content-Type', 'text/plain', 'X-Own', '1', 'Idempotency-Key', 'i'],
      text: 'hello',
      runAt: undefined,
      delayMs: undefined,
      maxAgeMs: 3_600_000,
      priority: 7,
      key: 'k',
      idempotencyKey: 'i',
      callbacks: [{ url: 'https://example.com/done' }],
    });
  }
  expect(gateway.accepted).toHaveLength(2);
});

test('a call goes to the version or alias that path or headers name', async () => {
  await using gateway = await start();
  await gateway.registry.setAlias(DEFAULT_NAMESPACE, 'f', 'beta', { versions: { 1: 100 }, match: [] });
  const cases = [
    ['/async-function/f@1', '', '@1'],
    ['/async-function/f.openfaas-fn:beta', '', ':beta'],
    ['/async-function/f', 'X-Ebb-Version: 1\r\n', '@1'],
    ['/async-function/f', 'X-Ebb-Alias: beta\r\n', ':beta'],
  ] as const;
  for (const [target, header, qualifier] of cases) {
    for (const request of both(target, '', header)) {
      expect(await talk(gateway.port, request)).toMatch(/^HTTP\/1\.1 202 /);
      expect(gateway.accepted.at(-1)).toMatchObject({ name: 'f', qualifier, path: '/', text: '' });
    }
  }
});

test('a duplicate says so, an error is told as for every call, and of a defect only an id', async () => {
  await using gateway = await start();
  for (const request of both('/async-function/f', 'again')) {
    expect(await talk(gateway.port, request)).toMatch(/ 202 [^]*\r\nidempotent-replayed: true\r\n/);
  }
  for (const request of both('/async-function/f', 'full')) {
    expect(await talk(gateway.port, request)).toMatch(/^HTTP\/1\.1 507 [^]*"code":"STORAGE_FULL"/);
  }
  for (const request of both('/async-function/f', 'defect')) {
    const answer = await talk(gateway.port, request);
    expect(answer).toMatch(/^HTTP\/1\.1 500 [^]*"code":"INTERNAL"/);
    expect(answer).not.toContain('a defect');
  }
  const twice = await talk(gateway.port, both('/async-function/f', '', 'X-Ebb-Key: a\r\nX-Ebb-Key: b\r\n')[0] ?? '');
  expect(twice).toMatch(/^HTTP\/1\.1 400 [^]*x-ebb-key is there more than once/);
});

test('22: who must show credentials for a call must show them for one that is made later, and no function sees them', async () => {
  await using gateway = await start();
  await gateway.deploy('closed', { auth: 'required' });
  for (const request of both('/async-function/closed', 'x')) expect(await talk(gateway.port, request)).toMatch(/ 401 /);
  for (const request of both('/async-function/closed', 'x', `Authorization: ${HARNESS_AUTHORIZATION}\r\n`)) {
    expect(await talk(gateway.port, request)).toMatch(/ 202 /);
    expect(gateway.accepted.at(-1)?.headers).toEqual(['Host', 'a']);
  }
});

test('a random UUID that the caller gives is passed on as the id it wants, and nothing else is', async () => {
  await using gateway = await start();
  const wanted = '3f9ecdbf-b290-4fbb-bcb0-6eb9d3f59cad';
  for (const request of both('/async-function/f', 'a', `X-Call-Id: ${wanted}\r\n`)) {
    await talk(gateway.port, request);
    expect(gateway.accepted.at(-1)?.wantedId).toBe(wanted);
  }
  // The server's own kind of ids, capitals, and what is no id at all.
  for (const id of ['019ab3f0-0000-7abc-8def-0123456789ab', wanted.toUpperCase(), `${wanted}.c0`, 'a', '']) {
    for (const request of both('/async-function/f', 'a', `X-Call-Id: ${id}\r\n`)) {
      await talk(gateway.port, request);
      expect(gateway.accepted.at(-1)?.wantedId).toBeUndefined();
    }
  }
});

test('an empty address for the answer is none', async () => {
  await using gateway = await start();
  for (const request of both('/async-function/f', 'a', 'X-Callback-Url: \r\n')) {
    expect(await talk(gateway.port, request)).toMatch(/^HTTP\/1\.1 202 /);
    expect(gateway.accepted.at(-1)?.callbacks).toBeUndefined();
  }
});

test('DELETE takes a call back, for whoever may call its function', async () => {
  const id = '3f9ecdbf-b290-4fbb-bcb0-6eb9d3f59cad';
  const cancelled: string[] = [];
  let name = 'f';
  const calls = {
    functionOf: (wanted: string) =>
      wanted === id
        ? Promise.resolve({ namespace: DEFAULT_NAMESPACE, name })
        : Promise.reject(new EbbError('INVOCATION_NOT_FOUND', 'there is no such call')),
    cancel: (wanted: string) => {
      cancelled.push(wanted);
      if (cancelled.length > 2) return Promise.reject(new EbbError('INVOCATION_ENDED', 'it is over'));
      return Promise.resolve({} as InvocationResource);
    },
  };
  await using gateway = await start({ calls });
  await gateway.deploy('closed', { auth: 'required' });
  const remove = (target: string, headers = '') =>
    talk(gateway.port, `DELETE ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${headers}\r\n`);
  const answer = await remove(`/async-function/${id}`);
  expect(answer).toMatch(/^HTTP\/1\.1 202 Accepted\r\nX-Call-Id: 3f9ecdbf-/);
  expect(answer).toMatch(/\r\n\r\n$/);
  // T1: what wants credentials to be called wants them for this, and so does what nobody knows any more.
  for (name of ['closed', 'gone']) expect(await remove(`/async-function/${id}`)).toMatch(/^HTTP\/1\.1 401 /);
  name = 'closed';
  expect(await remove(`/async-function/${id}`, `Authorization: ${HARNESS_AUTHORIZATION}\r\n`)).toMatch(/ 202 /);
  name = 'f';
  expect(await remove(`/async-function/${id}?a`)).toMatch(/^HTTP\/1\.1 409 [^]*it is over/);
  expect(cancelled).toEqual([id, id, id]);
  expect(await remove(`/async-function/${id.replace('3', '4')}`)).toMatch(/^HTTP\/1\.1 404 /);
  for (const target of ['/async-function/f', `/async-function/${id}/path`, '/async-function/f.openfaas-fn'])
    expect(await remove(target)).toMatch(/^HTTP\/1\.1 405 [^]*Allow: POST\r\n/);
  expect(gateway.gateway.running).toBe(0);
});

test('who leaves in the middle of a body has submitted nothing', async () => {
  await using gateway = await start();
  const wire = openWire(gateway.port, 'POST /async-function/f HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf');
  await new Promise((resolve) => setTimeout(resolve, 50));
  wire.socket.destroy();
  await eventually(() => gateway.broken.length === 1);
  expect(gateway.accepted).toEqual([]);
  expect(gateway.gateway.running).toBe(0);
});

test('plain requests take the other way while they may not enter, and are refused while the server drains', async () => {
  let isOpen = false;
  const gate: DoorGate = {
    enter: () => (isOpen ? () => {} : undefined),
    pass: () => Promise.resolve({ kind: 'here', leave: () => {} }),
    isTurnedOver: false,
    handle: () => {},
  };
  await using gateway = await start({ gate });
  for (const request of both('/async-function/f', 'x')) expect(await talk(gateway.port, request)).toMatch(/ 202 /);
  isOpen = true;
  void gateway.gateway.drain();
  for (const request of both('/async-function/f', 'x')) {
    expect(await talk(gateway.port, request)).toMatch(/^HTTP\/1\.1 503 [^]*Retry-After: 1[^]*DRAINING/);
  }
});

test('A1: what was received while another server took the queue over goes on to that one, with its body', async () => {
  const { promise: isKnown, resolve: know } = Promise.withResolvers<DoorPass>();
  const gate: DoorGate = { enter: () => undefined, pass: () => isKnown, isTurnedOver: false, handle: () => {} };
  await using gateway = await start({ gate });
  const answers = both('/async-function/f', 'hello').map((request) => talk(gateway.port, request));
  await new Promise((resolve) => setTimeout(resolve, 50));
  // Nobody has to wait for those who wait here, be it to end or to hand over.
  expect(gateway.gateway.running).toBe(0);
  know({
    kind: 'elsewhere',
    handle: (_request, response, body) => {
      void text(body).then((read) => response.end(`elsewhere: ${read}`));
    },
  });
  for (const answer of await Promise.all(answers)) expect(answer).toContain('elsewhere: hello');
  expect(gateway.accepted).toEqual([]);
});

test('a request of which nothing was read goes on to another server when what it needs is that one’s by now', async () => {
  await using gateway = await start({
    acceptor: {
      enqueue: () => Promise.reject(new EbbError('DRAINING', 'given away')),
      receive: () => Promise.reject(new EbbError('DRAINING', 'given away')),
    },
    gate: {
      enter: () => undefined,
      pass: () => Promise.reject(new Error('not asked')),
      isTurnedOver: true,
      handle: (_request, response) => void response.end('elsewhere'),
    },
  });
  for (const request of both('/async-function/f', 'x'))
    expect(await talk(gateway.port, request)).toContain('elsewhere');
});

test('on the host of a function every path is that function’s', async () => {
  await using gateway = await start({ domain: 'example.com' });
  const request =
    'POST /async-function/f HTTP/1.1\r\nHost: f.example.com\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';
  expect(await talk(gateway.port, request)).toContain('called');
  expect(gateway.accepted).toEqual([]);
});

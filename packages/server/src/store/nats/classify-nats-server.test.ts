import { expect, test } from 'vitest';
import { classifyNatsServer, type NatsServerInfo } from './classify-nats-server.ts';

const sound: NatsServerInfo = { version: '2.10.23', headers: true, jetstream: true, maxPayloadBytes: 2 ** 20 };

test('a server is refused that is too old, or lacks what a queue needs, with what to do next', () => {
  const cases: readonly [Partial<NatsServerInfo>, string][] = [
    [{ version: '2.8.4' }, 'is version 2.8.4, but 2.9 or later is needed'],
    [{ version: 'unknown' }, 'is version unknown, but 2.9 or later is needed'],
    [{ jetstream: false }, 'has no JetStream; add a "jetstream" block to its configuration'],
    [{ headers: false }, 'has headers off; remove "no_header_support" from its configuration'],
    [{ maxPayloadBytes: 65_536 }, 'takes messages of 65536 bytes; set its "max_payload" to 1048576 or more'],
  ];
  for (const [change, message] of cases) {
    expect(classifyNatsServer({ ...sound, ...change })).toEqual({ kind: 'refused', message });
  }
});

test.each([
  ['2.9.10', 'cannot be told otherwise'],
  ['2.10.19', 'does not say whether it writes to the disk before it acknowledges'],
  ['2.10.20', 'can lose whole streams when its process is killed'],
  ['2.10.22', 'can lose whole streams when its process is killed'],
  ['2.10.23', 'does not say whether it writes to the disk before it acknowledges'],
  ['2.12.0-beta.1', 'does not say whether it writes to the disk before it acknowledges'],
])('server %s is used with a warning that says what to set', (version, part) => {
  const verdict = classifyNatsServer({ ...sound, version });
  expect(verdict.kind === 'usable' && verdict.warning).toContain(part);
  expect(verdict.kind === 'usable' && verdict.warning).toContain('"sync_interval: always"');
});

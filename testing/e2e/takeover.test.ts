import { Agent, get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { expect, test } from 'vitest';
import { describeOnEngines } from '../harness/engines.ts';
import { deployLab } from '../harness/lab.ts';
import { startLoad } from '../harness/load.ts';
import { startTestServer } from '../harness/server.ts';

/** A request on a connection of its own, or on one of the agent's. */
function fetchOnce(url: string, agent: Agent | false = false): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  get(url, { agent }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.once('error', reject);
    response.once('close', () =>
      response.complete
        ? resolve(new Response(Buffer.concat(chunks), { status: response.statusCode ?? 0 }))
        : reject(new Error('the answer was cut')),
    );
  }).once('error', reject);
  return promise;
}

describeOnEngines('a server that another one takes over from', (engine) => {
  test('loses no call: new connections, kept connections, long calls; its warm instances serve on', async () => {
    await using server = await startTestServer({ engine, env: { EBB_POOL_SIZE: '0' } });
    await deployLab(server, 'steady', ['--concurrency', '4']);
    const before = await (await fetchOnce(server.functionUrl('steady', '/who'))).json();
    using agent = new KeptConnections(4);
    const load = startLoad(() => fetchOnce(server.functionUrl('steady', '/slow?ms=5')), 4);
    const kept = startLoad(() => fetchOnce(server.functionUrl('steady', '/slow?ms=5'), agent.agent), 4);
    await deployLab(server, 'slow');
    const long = fetchOnce(server.functionUrl('slow', '/slow?ms=3000'));
    await sleep(300);
    const url = server.url;
    const old = await server.takeOver();
    expect(server.url).toBe(url);
    await sleep(500);
    expect((await load.stop()).failures).toEqual([]);
    expect((await kept.stop()).failures).toEqual([]);
    expect((await long).status).toBe(200);
    const after = await (await fetchOnce(server.functionUrl('steady', '/who'))).json();
    expect(after).toEqual(before);
    agent[Symbol.dispose]();
    expect(await old.exited).toBe(0);
    const instances = await server.client.functions.instances({ namespace: DEFAULT_NAMESPACE, name: 'slow' });
    expect(instances).toHaveLength(1);
  });
});

class KeptConnections implements Disposable {
  readonly agent: Agent;

  constructor(maxSockets: number) {
    this.agent = new Agent({ keepAlive: true, maxSockets });
  }

  [Symbol.dispose](): void {
    this.agent.destroy();
  }
}

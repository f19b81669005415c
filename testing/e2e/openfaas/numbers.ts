import { describe, expect, test } from 'vitest';
import { type Gateway, jsonOf } from './gateway.ts';

/** How fast it has to be. Each is measured once, from the first byte sent. */
export function describeNumbers(gateway: () => Gateway): void {
  describe('in time', () => {
    test('a deploy serves within 2 s of the image being present', async () => {
      const service = gateway().name('quick');
      const beganAt = performance.now();
      await gateway().deploy({ service });
      const answer = await gateway().invoke(service, { body: 'first' });
      const tookMs = performance.now() - beganAt;
      expect([answer.status, answer.text]).toEqual([200, 'first']);
      console.log(`deployed and answered in ${Math.round(tookMs)} ms`);
      expect(tookMs).toBeLessThan(2_000);
    });

    test('replicas that are available serve a first call at once', async () => {
      const service = gateway().name('avail');
      const beganAt = performance.now();
      await gateway().serve({ service });
      const readyMs = performance.now() - beganAt;
      const calledAt = performance.now();
      expect((await gateway().invoke(service, { body: 'x' })).status).toBe(200);
      console.log(
        `available after ${Math.round(readyMs)} ms, first call ${Math.round(performance.now() - calledAt)} ms`,
      );
      expect(performance.now() - calledAt).toBeLessThan(500);
    });

    test('a deploy is answered before its instances have started', async () => {
      const service = gateway().name('soon');
      const beganAt = performance.now();
      await gateway().deploy({ service });
      const answeredMs = performance.now() - beganAt;
      console.log(`a deploy was answered in ${Math.round(answeredMs)} ms`);
      expect(answeredMs).toBeLessThan(1_000);
    });

    test('a removal leaves nothing to be found', async () => {
      const service = gateway().name('swift');
      await gateway().serve({ service });
      const beganAt = performance.now();
      await gateway().remove(service);
      console.log(`a removal was answered in ${Math.round(performance.now() - beganAt)} ms`);
      expect((await gateway().system('GET', `/system/function/${service}`)).status).toBe(404);
      const listed = jsonOf(await gateway().system('GET', '/system/functions')) as readonly { name: string }[];
      expect(listed.map(({ name }) => name)).not.toContain(service);
    });
  });
}

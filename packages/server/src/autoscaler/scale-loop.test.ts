import { functionSpecSchema, resolveLimits } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { type Scalable, ScaleLoop } from './scale-loop.ts';

/** A version that is told its size and does nothing about it until a test does. */
function createVersion(state: { ready?: number; waiting?: number; idleMs?: number[]; leaving?: number; min?: number }) {
  const { ready = 0, waiting = 0, idleMs = [], leaving = 0, min = 0 } = state;
  const spec = functionSpecSchema.parse({ runtime: 'node', scale: { min, idle: '1h' } });
  const told: number[] = [];
  const scalable: Scalable = {
    version: { limits: resolveLimits(spec) },
    inFlight: 0,
    waiting,
    ready,
    starting: 0,
    size: ready + leaving,
    retiring: false,
    idleMs: () => idleMs,
    scaleTo: (desired) => void told.push(desired),
  };
  return { scalable, told };
}

async function poke(all: { readonly scalable: Scalable }[], maxInstances: number): Promise<void> {
  const loop = new ScaleLoop({ all: () => all.map(({ scalable }) => scalable), maxInstances, everyMs: 1_000 });
  for (const { scalable } of all) if (scalable.waiting > 0) loop.poke(scalable);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

describe('a full host', () => {
  test('gives up the instance that was idle longest', async () => {
    const recent = createVersion({ ready: 2, idleMs: [10, 20] });
    const old = createVersion({ ready: 1, idleMs: [900] });
    await poke([recent, old, createVersion({ waiting: 1 })], 3);
    expect([recent.told, old.told]).toEqual([[], [0]]);
  });

  test('gives up no more while one is already on its way out', async () => {
    const leaving = createVersion({ leaving: 1 });
    const idle = createVersion({ ready: 2, idleMs: [100, 100] });
    await poke([leaving, idle, createVersion({ waiting: 1 })], 3);
    expect(idle.told).toEqual([]);
  });

  test('never goes below the minimum of another', async () => {
    const kept = createVersion({ ready: 1, idleMs: [900], min: 1 });
    await poke([kept, createVersion({ waiting: 1 })], 1);
    expect(kept.told).toEqual([]);
  });
});

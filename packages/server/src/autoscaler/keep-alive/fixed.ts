import type { KeepAlivePolicy } from './keep-alive-policy.ts';

/** Keeps an idle instance for as long as its spec says; what was idle longest makes room first. */
export const fixed: KeepAlivePolicy = {
  name: 'fixed',
  plan: (_usage, { idleMs }) => ({ keepMs: idleMs }),
  value: ({ idleMs }) => -idleMs,
};

import { describe, expect, test } from 'vitest';
import { onHangUp } from './on-hang-up.ts';

function hangUp(isTerminalBefore: boolean, isTerminalThen: boolean): readonly string[] {
  const did: string[] = [];
  let isTerminal = isTerminalBefore;
  using _ = onHangUp({
    reload: () => did.push('reload'),
    stop: () => did.push('stop'),
    say: (text) => did.push(text.split(':', 1)[0] ?? ''),
    isTerminal: () => isTerminal,
  });
  isTerminal = isTerminalThen;
  process.emit('SIGHUP');
  return did;
}

describe('SIGHUP', () => {
  test('has a server that was started without a terminal read its settings again', () => {
    expect(hangUp(false, false)).toEqual(['reload']);
  });

  test('has one whose terminal is still there read them too, and says so', () => {
    expect(hangUp(true, true)).toEqual(['SIGHUP', 'reload']);
  });

  test('stops one whose terminal is gone, and says why', () => {
    expect(hangUp(true, false)).toEqual(['the terminal is gone, so the server stops', 'stop']);
  });

  test('is left to the process again afterwards', () => {
    const before = process.listenerCount('SIGHUP');
    hangUp(true, true);
    expect(process.listenerCount('SIGHUP')).toBe(before);
  });
});

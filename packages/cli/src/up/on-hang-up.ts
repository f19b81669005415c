import { isatty } from 'node:tty';

const STDIN = 0;
/** Some terminals send the signal first and go then. */
const LOOK_AGAIN_MS = 1_000;

/** What a server does when it is told to hang up. */
export interface HangUpActions {
  /** Reads the settings again. */
  readonly reload: () => void;
  readonly stop: () => void;
  /** Says why. */
  readonly say: (text: string) => void;
  /** Whether standard input is a terminal now. Default: asks the system each time. */
  readonly isTerminal?: () => boolean;
}

/**
 * Takes SIGHUP, which means two things: read the settings again, or, where the server was started in a terminal, that this
 * is gone and with it whoever looked after the server. It stops only if the terminal is really gone.
 */
export function onHangUp({ reload, stop, say, isTerminal = () => isatty(STDIN) }: HangUpActions): Disposable {
  const wasTerminal = isTerminal();
  const stopIfGone = (): boolean => {
    if (!wasTerminal || isTerminal()) return false;
    // What is still said may have nowhere to go, which must not keep the server from ending as it should.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
    say('the terminal is gone, so the server stops');
    stop();
    return true;
  };
  let again: NodeJS.Timeout | undefined;
  const listener = () => {
    if (stopIfGone()) return;
    if (wasTerminal) say('SIGHUP: the settings are read again; the terminal is still there, so the server goes on');
    reload();
    if (wasTerminal) again ??= setTimeout(() => ((again = undefined), stopIfGone()), LOOK_AGAIN_MS).unref();
  };
  process.on('SIGHUP', listener);
  return {
    [Symbol.dispose]: () => {
      clearTimeout(again);
      process.off('SIGHUP', listener);
    },
  };
}

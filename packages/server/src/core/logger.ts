import { pino, type Logger } from 'pino';

export type { Logger } from 'pino';

/** Makes the server's own log: JSON lines on standard error, with secrets and credentials left out. */
export function createLogger(level: string): Logger {
  return pino(
    { level, base: undefined, redact: ['authorization', '*.authorization', 'secret', '*.secret', 'token', '*.token'] },
    pino.destination({ dest: 2, sync: false }),
  );
}

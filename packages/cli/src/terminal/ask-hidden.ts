import { Writable } from 'node:stream';
import { CliError } from '../core/cli-error.ts';

/** Asks a person on a terminal for a text that is not shown while it is typed. Throws INTERRUPTED on Ctrl-C. */
export async function askHidden(
  question: string,
  input: NodeJS.ReadStream,
  output: NodeJS.WriteStream,
): Promise<string> {
  const { createInterface } = await import('node:readline');
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: nowhere, terminal: true });
  output.write(question);
  try {
    return await new Promise<string>((resolve, reject) => {
      const stop = () => reject(new CliError('INTERRUPTED', 'interrupted'));
      lines.once('SIGINT', stop).once('close', stop).once('line', resolve);
    });
  } finally {
    lines.removeAllListeners('close').close();
    output.write('\n');
  }
}

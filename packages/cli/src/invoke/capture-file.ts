import { readFile, writeFile } from 'node:fs/promises';
import { capturedRequestSchema, invocationResourceSchema } from '@ebb/contract';
import { z } from 'zod';
import { CliError } from '../core/cli-error.ts';

const captureSchema = z.object({
  kind: z.literal('ebb-capture'),
  /** Of this format. */
  version: z.literal(1),
  capturedAt: z.iso.datetime(),
  /** How the call stood: attempts, answer, why it was given up. */
  call: invocationResourceSchema,
  request: capturedRequestSchema.extend({ bodyBase64: z.base64() }),
});
/** A call as it is kept in a file. */
export type Capture = z.output<typeof captureSchema>;

/** Writes a capture that only its owner can read: a request may hold what is nobody else's. Throws FILE_FAILED. */
export async function writeCapture(path: string, capture: Capture): Promise<void> {
  try {
    await writeFile(path, `${JSON.stringify(capture, undefined, 2)}\n`, { mode: 0o600 });
  } catch (cause) {
    throw new CliError('FILE_FAILED', `the file ${path} cannot be written`, { cause });
  }
}

/** Reads a capture. Throws FILE_FAILED, INPUT_INVALID. */
export async function readCapture(path: string): Promise<Capture> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new CliError('FILE_FAILED', `the file ${path} cannot be read`, { cause });
  });
  try {
    return captureSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new CliError('INPUT_INVALID', `the file ${path} is not one that "ebb invocations capture" wrote`, { cause });
  }
}

import { resolve } from 'node:path';
import { CliError } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';

/** Writes a call with its payload and what became of it into a file that `ebb invoke --replay` runs. */
export const captureInvocationCommand = defineCommand({
  name: 'invocations capture',
  summary: 'write an asynchronous call into a file that "ebb invoke --replay" runs again, here or there',
  args: [{ name: 'id', summary: 'id of the call' }],
  options: [{ flags: '-o, --out <file>', summary: 'the file to write (default: ID.json)' }],
  examples: ['ebb invocations capture "$id" -o failed.json', 'ebb invoke --replay failed.json --local .'],
  async run(context) {
    const { parameters, output, signal, cwd } = context;
    const id = parameters.required('id');
    const options = { namespace: parameters.text('namespace'), signal };
    const { client } = await context.connect();
    const { writeCapture } = await import('../../invoke/capture-file.ts');
    const [call, request, payload] = await Promise.all([
      client.invocations.get(id, options),
      client.invocations.request(id, options),
      client.invocations.payload(id, options),
    ]);
    const body = Buffer.from(await payload.body.arrayBuffer());
    if (body.length > 256 * 2 ** 20) throw new CliError('INPUT_INVALID', 'the payload is too large for a file of text');
    const file = parameters.text('out') ?? `${id}.json`;
    await writeCapture(resolve(cwd, file), {
      kind: 'ebb-capture',
      version: 1,
      capturedAt: new Date().toISOString(),
      call,
      request: { ...request, bodyBase64: body.toString('base64') },
    });
    if (request.leftOut.length > 0) {
      output.note(`left out, since they may be credentials: ${request.leftOut.join(', ')}`);
    }
    output.result({ file, id }, () => file);
  },
});

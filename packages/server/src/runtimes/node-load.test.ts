import { describe, expect, test } from 'vitest';
import { useNodeRuntime } from '../../../../testing/harness/node-runtime.ts';

describe('the Node runtime: finding and loading the handler', { timeout: 30_000 }, () => {
  const { start, startReady, failure, send } = useNodeRuntime();
  test('the file and export named by the spec are used, and its signature', async () => {
    const files = { 'src/work.ts': 'export const run = (x: unknown, res: unknown) => typeof res;' };
    const asEvent = await startReady(files, { EBB_HANDLER: 'src/work.ts#run', EBB_SIGNATURE: 'event' });
    expect((await send(asEvent.target, '/')).body).toBe('object');
  });

  test('package.json main and node_modules are honoured', async () => {
    const { target } = await startReady({
      'package.json': '{"type":"module","main":"lib/main.js"}',
      'lib/main.js': `import { greet } from 'greeter'; export default { fetch: () => new Response(greet()) };`,
      'node_modules/greeter/package.json': '{"name":"greeter","exports":"./g.js"}',
      'node_modules/greeter/g.js': `exports.greet = () => 'from a package';`,
    });
    expect((await send(target, '/')).body).toBe('from a package');
  });

  test('relative reads find the code, writes stay in the instance', async () => {
    const { target } = await startReady({
      'data.txt': 'data',
      'index.mjs': `import { readFileSync, writeFileSync } from 'node:fs';
        export const handler = () => { writeFileSync('out.txt', 'x'); return readFileSync('data.txt', 'utf8') + process.env.HOME; };`,
    });
    expect((await send(target, '/')).body).toMatch(/^data.*\/i\/f-\d+\/work$/);
  });

  test.each([
    ['no file', { 'readme.md': '' }, {}, 'there is no handler file: the code needs one of index.ts'],
    [
      'a missing file',
      { 'a.js': '' },
      { EBB_HANDLER: 'b.js' },
      'the handler file "b.js" is missing in the code; it holds a.js',
    ],
    ['no export', { 'index.js': 'const x = 1;' }, {}, 'the handler file "index.js" exports no handler'],
    [
      'a missing export',
      { 'index.mjs': 'export const a = 1;' },
      { EBB_HANDLER: 'index.mjs#b' },
      'has no export named "b"',
    ],
    ['a wrong signature', { 'index.mjs': 'export default 5;' }, { EBB_SIGNATURE: 'fetch' }, 'signature "fetch"'],
    [
      'a syntax error',
      { 'index.mjs': 'export default {' },
      {},
      'the handler file "index.mjs" cannot be loaded: Unexpected end of input',
    ],
    [
      'an enum',
      { 'index.ts': 'enum A { B }\nexport default () => A.B;' },
      {},
      'enum is not supported in strip-only mode',
    ],
    ['a missing package', { 'index.mjs': `import 'nowhere';` }, {}, `Cannot find package 'nowhere'`],
    ['a failing start', { 'index.mjs': `throw new Error('at start');` }, {}, 'cannot be loaded: at start'],
  ])('%s is said in one sentence and ends with the code for that', async (_what, files, env, sentence) => {
    const line = await failure(files, env);
    expect(line).toMatch(/^ebb: /);
    expect(line).toContain(sentence);
  });

  test('a top-level await that cannot settle blames the handler and ends at once', async () => {
    const line = await failure({ 'index.mjs': 'await new Promise(() => {}); export default () => 1;' }, {}, 13);
    expect(line).toBe('ebb: the handler file "index.mjs" never finishes loading: its top-level await does not settle');
  });

  test('what is thrown later while it loads is its failure too', async () => {
    const late = `setTimeout(() => { throw new Error('late'); }); await new Promise((done) => setTimeout(done, 5000));`;
    const { exited, logs } = await start({ 'index.mjs': late });
    expect(await exited).toMatchObject({ code: 70 });
    const lines = (await logs()).map(({ text }) => text);
    expect(lines[0]).toContain('uncaught exception while the handler file "index.mjs" was loaded: Error: late');
  });
});

import { describe, expect, test } from 'vitest';
import { parseManifest } from './parse-manifest.ts';

const parse = (source: string, env: Record<string, string> = {}) => parseManifest(source, { file: 'ebb.yaml', env });

describe('parseManifest', () => {
  test('reads functions as they were written, with the code directory apart', () => {
    const manifest = parse(`
namespace: team-a
functions:
  hello:
    runtime: node
    code: ./src
    env: { GREETING: Hi }
  web:
    image: registry/web:1
    scale: { max: 3 }
`);
    expect(manifest).toEqual({
      namespace: 'team-a',
      functions: [
        { name: 'hello', code: './src', spec: { runtime: 'node', env: { GREETING: 'Hi' } } },
        { name: 'web', spec: { image: 'registry/web:1', scale: { max: 3 } } },
      ],
    });
  });

  test('keeps a rollout apart from the spec, and takes a strategy alone for one', () => {
    const manifest = parse(`functions:
  a: { runtime: node, rollout: canary }
  b: { runtime: node, rollout: { strategy: linear, step: 20 } }
`);
    expect(manifest.functions).toEqual([
      { name: 'a', spec: { runtime: 'node' }, rollout: { strategy: 'canary' } },
      { name: 'b', spec: { runtime: 'node' }, rollout: { strategy: 'linear', step: 20 } },
    ]);
    expect(() => parse('functions: {a: {runtime: node, rollout: {strategy: linear, steps: [{weight: 5}]}}}')).toThrow(
      'ebb.yaml:1: "functions.a.rollout.steps" is a list but is only for the strategy "canary"',
    );
  });

  test('takes numbers and booleans in maps of texts exactly as written', () => {
    const manifest = parse('functions: {a: {runtime: node, env: {P: 8080, V: 1.10, B: true}, labels: {n: 0x1F}}}');
    expect(manifest.functions[0]?.spec).toMatchObject({
      env: { P: '8080', V: '1.10', B: 'true' },
      labels: { n: '0x1F' },
    });
  });

  test('puts variables into values: unquoted ones mean what they look like, texts stay texts', () => {
    const manifest = parse(
      `functions:
  a:
    runtime: \${RUNTIME:-node}
    concurrency: \${CONCURRENCY:-4}
    readOnlyRootFilesystem: \${RO:-false}
    env:
      PORT: \${PORT}
      PRICE: 5$$
`,
      { PORT: '8080' },
    );
    expect(manifest.functions[0]?.spec).toEqual({
      runtime: 'node',
      concurrency: 4,
      readOnlyRootFilesystem: false,
      env: { PORT: '8080', PRICE: '5$' },
    });
  });

  test('a variable cannot change the structure of the file', () => {
    const manifest = parse('functions: {a: {runtime: node, env: {A: "${A}"}}}', { A: 'x}\nauth: required # "' });
    expect(manifest.functions[0]?.spec).toEqual({ runtime: 'node', env: { A: 'x}\nauth: required # "' } });
  });

  test('anchors and merges work', () => {
    const manifest = parse(`functions:
  a: &base
    runtime: node
    memory: 64Mi
  b:
    <<: *base
    timeout: 5s
`);
    expect(manifest.functions[1]?.spec).toEqual({ runtime: 'node', memory: '64Mi', timeout: '5s' });
  });

  test.each([
    [
      'functions:\n  a:\n    runtime: node\n    memmory: 1Gi\n',
      'ebb.yaml:4: "functions.a" has an unknown field "memmory"',
    ],
    ['function: {}\n', 'ebb.yaml:1: "functions" is missing: expected an object'],
    ['functions: {a: {runtime: node}}\nextra: 1\n', 'ebb.yaml:2: the file has an unknown field "extra"'],
    [
      'functions:\n  a:\n    runtime: node\n    timeout: soon\n',
      'ebb.yaml:4: "functions.a.timeout" is "soon" but must be a duration from 1ms to 1d, such as "60s"',
    ],
    [
      'functions:\n  a:\n    runtime: node\n    scale:\n      max: 0\n',
      'ebb.yaml:5: "functions.a.scale.max" is 0 but must be at least 1',
    ],
    ['functions:\n  a:\n    env: {A: b}\n', 'ebb.yaml:2: "functions.a.runtime" is missing: set it or "image"'],
    ['functions:\n  A_b:\n    runtime: node\n', 'ebb.yaml:2: the name "functions.A_b" must be 1 to 63'],
    [
      'functions:\n  a:\n    runtime: node\n    env:\n      X: ${NOPE}\n',
      'ebb.yaml:5: "functions.a.env.X" uses the variable NOPE',
    ],
    ['functions:\n  a: {runtime: node}\n  a: {runtime: node}\n', 'ebb.yaml:3: this is not valid YAML'],
    ['functions:\n  a: [\n', 'this is not valid YAML'],
    ['', 'ebb.yaml:1: the file'],
    ['functions: {a: {runtime: node, env: {A: null}}}', 'ebb.yaml:1: "functions.a.env.A" is null but must be a string'],
  ])('refuses %j with file, line, field and rule', (source, message) => {
    expect(() => parse(source)).toThrow(message);
  });
});

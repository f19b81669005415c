import { describe, expect, test } from 'vitest';
import { parseEnvironmentFile, parseStack } from './parse-stack.ts';
import { substitute } from './substitute.ts';

const parse = (source: string, env: Record<string, string> = {}) => parseStack(source, { file: 'stack.yaml', env });

describe('substitute', () => {
  test.each([
    ['${NAME}', 'Ada'],
    ['${MISSING:-x}', 'x'],
    ['${EMPTY:-x}', 'x'],
    ['${EMPTY}', ''],
    ['<${MISSING}>', '<>'],
    ['${NAME:-x}:${TAG:-latest}', 'Ada:latest'],
    ['${REGISTRY:-registry:5000/a}', 'registry:5000/a'],
    ['  # ${MISSING}', '  # ${MISSING}'],
    ['costs 5$ and $NAME', 'costs 5$ and $NAME'],
  ])('turns %j into %j', (text, expected) => {
    expect(substitute(text, { NAME: 'Ada', EMPTY: '' }).text).toBe(expected);
  });

  test('names what is not set, and never reads a value again', () => {
    expect(substitute('${A} ${B} ${B}', { A: '${C}' })).toEqual({ text: '${C}  ', unset: ['B'] });
  });
});

describe('parseStack', () => {
  test('reads every field, values as they are written', () => {
    const stack = parse(
      `version: 1.0
provider:
  name: openfaas
  gateway: http://10.0.0.1:8080
functions:
  resize:
    lang: node22
    handler: ./resize
    image: \${REGISTRY:-docker.io}/me/resize:\${TAG}
    fprocess: node index.js
    namespace: images
    environment: { write_debug: true, ratio: 1.10, empty: "" }
    environment_file: [a.yml, b.yml]
    secrets: [api-key]
    constraints: ["node.role == worker"]
    labels: { com.openfaas.scale.min: 2 }
    annotations:
      topic: photos
    limits: { memory: 40Mi, cpu: 0.5 }
    requests: { memory: 20Mi }
    readonly_root_filesystem: true
    build_options: [dev]
    build_args: { GO: 1.22 }
    build_secrets: { npmrc: ./.npmrc }
    platforms: linux/amd64
    skip_build: true
configuration:
  copy: [./shared]
`,
      { TAG: '0.1' },
    );
    expect(stack).toEqual({
      gateway: 'http://10.0.0.1:8080',
      copy: ['./shared'],
      notes: [],
      functions: [
        {
          name: 'resize',
          lang: 'node22',
          handler: './resize',
          image: 'docker.io/me/resize:0.1',
          fprocess: 'node index.js',
          namespace: 'images',
          environment: { write_debug: 'true', ratio: '1.10', empty: '' },
          environmentFiles: ['a.yml', 'b.yml'],
          secrets: ['api-key'],
          constraints: ['node.role == worker'],
          labels: { 'com.openfaas.scale.min': '2' },
          annotations: { topic: 'photos' },
          limits: { memory: '40Mi', cpu: '0.5' },
          requests: { memory: '20Mi' },
          readOnlyRootFilesystem: true,
          buildOptions: ['dev'],
          buildArgs: { GO: '1.22' },
          buildSecrets: { npmrc: './.npmrc' },
          platforms: 'linux/amd64',
          skipBuild: true,
          unknown: [],
        },
      ],
    });
  });

  test('variables may stand where YAML would not take them: in flow maps and as names', () => {
    const stack = parse('functions: {${NAME:-f}: {image: ${IMAGE:-i:1}, limits: {memory: ${MEM:-1Gi}}}}');
    expect(stack.functions[0]).toMatchObject({ name: 'f', image: 'i:1', limits: { memory: '1Gi' } });
  });

  test('drops nothing silently: fields that are not known and variables that are not set are named', () => {
    const stack = parse('x: 1\nprovider: {network: n}\nfunctions:\n  f: {image: "a${TAG}", timeout: 5s}\n');
    expect(stack.functions[0]?.unknown).toEqual(['timeout']);
    expect(stack.notes).toEqual([
      'the variable TAG is not set and became empty',
      'the field "x" is not known and means nothing here',
      'the field "provider.network" is not known and means nothing here',
    ]);
  });

  test('anchors and merges work', () => {
    const stack = parse('functions:\n  a: &a {image: i, fprocess: cat}\n  b:\n    <<: *a\n    fprocess: env\n');
    expect(stack.functions[1]).toMatchObject({ image: 'i', fprocess: 'env' });
  });

  test.each([
    ['', 'stack.yaml: "functions" names no function'],
    ['[]', 'the file must be a map'],
    ['functions: {}', '"functions" names no function'],
    ['provider: {name: lambda}\nfunctions: {f: {image: a}}', '"provider.name" is "lambda" but must be "openfaas"'],
    ['functions: {f: {image: a, secrets: x}}', '"functions.f.secrets" must be a list'],
    ['functions: {f: {image: [a]}}', '"functions.f.image" must be a text'],
    ['functions: {f: {image: a, skip_build: maybe}}', '"functions.f.skip_build" is "maybe" but must be true or false'],
    ['functions: {f: {environment: [a]}}', '"functions.f.environment" must be a map'],
    ['functions:\n  f: [', 'stack.yaml:2: this is not valid YAML'],
  ])('refuses %j', (source, message) => {
    expect(() => parse(source)).toThrow(message);
  });
});

test('a file with variables has them below "environment"', () => {
  const read = (source: string) => parseEnvironmentFile(source, { file: 'env.yml', env: { A: '1' } });
  expect(read('environment:\n  a: ${A}\n  b: true\n')).toEqual({ a: '1', b: 'true' });
  expect(() => read('a: 1')).toThrow('env.yml: "environment" is missing');
});

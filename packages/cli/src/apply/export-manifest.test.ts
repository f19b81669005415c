import fc from 'fast-check';
import { type FunctionSpecInput, functionSpecSchema } from '@ebb/contract';
import { expect, test } from 'vitest';
import { functionResource } from '../../../../testing/harness/function-resource.ts';
import { parseManifest } from '../manifest/parse-manifest.ts';
import { exportManifest } from './export-manifest.ts';

const resource = (name: string, spec: FunctionSpecInput) => functionResource('team', name, spec);

test('an export leaves out what is the default', () => {
  const text = exportManifest('team', [
    resource('hello', { runtime: 'node', memory: '512Mi', scale: { max: 3 } }),
    resource('web', { image: 'registry/web:1', port: 80 }),
  ]);
  expect(text).toBe(
    [
      'namespace: team',
      'functions:',
      '  hello:',
      '    runtime: node',
      '    memory: 512Mi',
      '    scale:',
      '      max: 3',
      '    code: ./hello',
      '  web:',
      '    image: registry/web:1',
      '    port: 80',
      '',
    ].join('\n'),
  );
});

test('what is read back from an export is what was deployed', () => {
  const text = fc.string({ maxLength: 12, unit: fc.constantFrom(...'$${}:#\'"\n ab1.-{NAME:-x}truenull') });
  const spec = fc.record({
    env: fc.dictionary(fc.constantFrom('A', 'B', 'NAME'), text),
    labels: fc.dictionary(fc.constantFrom('x', 'y.z/w'), text),
    memory: fc.constantFrom('256Mi', '1Gi', 268_435_456),
    concurrency: fc.constantFrom(1, 10, 99),
    scale: fc.record({ min: fc.constantFrom(0, 1), max: fc.constantFrom(20, 3) }),
    secrets: fc.subarray(['one', 'two']),
  });
  fc.assert(
    fc.property(spec, (fields) => {
      const input: FunctionSpecInput = { image: 'x', ...fields };
      const manifest = parseManifest(exportManifest('team', [resource('f', input)]), { file: 'ebb.yaml', env: {} });
      expect(functionSpecSchema.parse(manifest.functions[0]?.spec)).toEqual(functionSpecSchema.parse(input));
    }),
  );
});

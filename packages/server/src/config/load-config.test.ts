import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EbbError } from '../core/errors.ts';
import { SETTINGS } from './config-schema.ts';
import { type ConfigInputs, loadConfig } from './load-config.ts';
import { flagName, variableName } from './setting.ts';

describe('loadConfig', () => {
  let cwd: string;
  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), 'ebb-config-'));
    mkdirSync(join(cwd, '.ebb'));
  });
  afterEach(() => rmSync(cwd, { recursive: true, force: true }));

  const load = (inputs: ConfigInputs) => loadConfig({ env: {}, cwd, ...inputs });
  const refusal = (inputs: ConfigInputs): string => {
    try {
      load(inputs);
    } catch (error) {
      expect(error).toBeInstanceOf(EbbError);
      expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
      return error instanceof Error ? error.message : '';
    }
    throw new Error('the settings were accepted');
  };
  const writeFile = (text: string, path = join(cwd, '.ebb/ebb-server.yaml')): string => {
    writeFileSync(path, text);
    return path;
  };

  test('gives every default in plain units when nobody says anything', () => {
    const { config, origins, warnings } = load({});
    expect(config).toMatchObject({
      listen: { host: '0.0.0.0', port: 8080 },
      metricsListen: { host: '127.0.0.1', port: 8082 },
      dataDir: join(cwd, '.ebb'),
      engine: 'auto',
      startTimeoutMs: 60_000,
      maxHeaderBytes: 32_768,
    });
    expect(config.adminSecret).toBeUndefined();
    expect(origins.listen).toBe('default');
    expect(warnings).toEqual([]);
  });

  test('every default is itself allowed', () => {
    for (const setting of Object.values(SETTINGS)) {
      if (setting.fallback !== undefined) expect(setting.parse(setting.fallback), setting.name).toBeDefined();
    }
  });

  test('a flag wins over the environment, that over the file, that over the default', () => {
    writeFile('engine: docker\nlogLevel: warn\nmaxInstances: 7\n');
    const { config, origins } = load({
      flags: { engine: 'process' },
      env: { EBB_ENGINE: 'auto', EBB_LOG_LEVEL: 'debug' },
    });
    expect(config).toMatchObject({ engine: 'process', logLevel: 'debug', maxInstances: 7 });
    expect(origins).toMatchObject({
      engine: 'flag',
      logLevel: 'environment',
      maxInstances: 'file',
      listen: 'default',
    });
  });

  test('every setting can be given by flag, by environment and by file', () => {
    for (const [key, setting] of Object.entries(SETTINGS)) {
      const value =
        [setting.fallback, 'a-fair-value', '16Gi', '1h', 'nats://127.0.0.1:4222', '/run/secrets'].find(
          (text = '') => setting.parse(text) !== undefined,
        ) ?? '';
      const origins = (inputs: ConfigInputs) => load(inputs).origins[key as keyof typeof SETTINGS];
      expect(origins({ flags: { [setting.name]: value } })).toBe('flag');
      expect(origins({ env: { [variableName(setting.name)]: value } })).toBe('environment');
      const path = writeFile(`${setting.name}: ${JSON.stringify(value)}\n`, join(cwd, 'named.yaml'));
      expect(origins({ filePath: path })).toBe('file');
    }
  });

  test('the settings file is found in the data directory that a flag or variable names', () => {
    mkdirSync(join(cwd, 'other'));
    writeFile('maxInstances: 3', join(cwd, 'other/ebb-server.yaml'));
    expect(load({ env: { EBB_DATA_DIR: 'other' } }).config).toMatchObject({
      maxInstances: 3,
      dataDir: join(cwd, 'other'),
    });
    expect(load({}).config.maxInstances).toBe(500);
  });

  test('a file found in the data directory cannot move it, a named one can', () => {
    const path = writeFile('dataDir: elsewhere');
    expect(refusal({})).toContain('dataDir cannot be set in');
    expect(load({ env: { EBB_CONFIG: path } }).config.dataDir).toBe(join(cwd, 'elsewhere'));
  });

  test.each([
    [
      'flag',
      { flags: { engine: 'podman' } },
      'engine is "podman" (flag --engine) but must be "auto", "process" or "docker"',
    ],
    ['variable', { env: { EBB_LISTEN: 'nowhere' } }, 'listen is "nowhere" (variable EBB_LISTEN) but must be host:port'],
    [
      'range',
      { flags: { maxInstances: '0' } },
      'maxInstances is "0" (flag --max-instances) but must be a whole number from 1',
    ],
    ['duration', { env: { EBB_DRAIN_TIMEOUT: '2d' } }, 'must be a duration from 0s to 1h'],
    ['size', { env: { EBB_MAX_HEADER: '1' } }, 'must be a size from 4Ki to 1Mi'],
    ['unknown flag', { flags: { engin: 'auto' } }, 'there is no flag --engin; did you mean --engine?'],
  ])('a bad %s is refused in one sentence with setting, value, place and rule', (_what, inputs, message) => {
    expect(refusal(inputs)).toContain(message);
  });

  test.each([
    ['engin: auto', 'has an unknown setting "engin"; did you mean engine?'],
    ['__proto__: 1', 'has an unknown setting "__proto__"'],
    ['engine: podman', 'engine is "podman" (file '],
    ['listen: [1, 2]', 'listen (file '],
    ['- listen', 'must map setting names to values'],
    ['engine: "auto', 'is not valid YAML'],
    ['engine: auto\nengine: docker', 'is not valid YAML'],
  ])('a settings file with %j is refused', (text, message) => {
    writeFile(text);
    expect(refusal({})).toContain(message);
  });

  test('a named file that is not there is refused', () => {
    expect(refusal({ flags: { config: 'absent.yaml' } })).toContain('absent.yaml cannot be read');
  });

  test('T2: a wrong secret is not repeated in the refusal', () => {
    const message = refusal({ env: { EBB_ADMIN_SECRET: 'geheim' } });
    expect(message).not.toContain('geheim');
    expect(message).toContain('adminSecret is (a value not shown here) (variable EBB_ADMIN_SECRET)');
  });

  test('a stray EBB_ variable is named in a warning; those of the client side are not', () => {
    const { warnings } = load({
      env: { EBB_LISTN: ':1', EBB_URL: 'x', EBB_TOKEN: 'y', PATH: '/bin', EBB_LISTEN: '' },
    });
    expect(warnings).toEqual([
      'the variable EBB_LISTN is not a setting of the server and was ignored; did you mean EBB_LISTEN?',
    ]);
  });

  test('flag and variable names follow from the setting’s name', () => {
    expect(flagName('metricsListen')).toBe('--metrics-listen');
    expect(variableName('metricsListen')).toBe('EBB_METRICS_LISTEN');
  });
});

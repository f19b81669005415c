import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { OpenFaasAnswer } from './openfaas-route.ts';
import { storeRoutes } from './store-routes.ts';

const FUNCTIONS = {
  version: '0.2.0',
  functions: [
    {
      name: 'figlet',
      title: 'Figlet',
      description: 'Text as a banner',
      icon: '',
      author: 'us',
      fprocess: 'figlet',
      repo_url: 'https://git.example.com/figlet',
      readOnlyRootFilesystem: true,
      environment: { a: 'b' },
      labels: { 'com.openfaas.scale.zero': 'true' },
      annotations: {},
      images: { x86_64: 'registry.example.com/figlet:1', arm64: 'registry.example.com/figlet:1-arm64' },
    },
  ],
};
const TEMPLATES = [
  {
    template: 'node22',
    platform: 'x86_64',
    language: 'NodeJS',
    source: '/srv/templates',
    description: 'Node 22',
    repo: 'https://git.example.com/templates',
    official: 'true',
    recommended: true,
  },
];

describe('the stores', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ebb-store-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const ask = async (place: string | undefined, path: string): Promise<OpenFaasAnswer> => {
    const route = storeRoutes({ place }).find((one) => one.path === path);
    expect(route).toMatchObject({ method: 'GET', scope: 'open' });
    const call = { params: {}, query: {}, request: {}, signal: new AbortController().signal };
    return (await route?.run(call as never)) ?? { status: 0 };
  };

  test('are served as the files of a folder hold them, as they are at the moment', async () => {
    await writeFile(join(folder, 'functions.json'), JSON.stringify(FUNCTIONS));
    await writeFile(join(folder, 'templates.json'), JSON.stringify(TEMPLATES, undefined, 2));
    const functions = await ask(folder, '/store/functions.json');
    expect(functions).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(functions.text ?? '')).toEqual(FUNCTIONS);
    expect(JSON.parse((await ask(folder, '/store/templates.json')).text ?? '')).toEqual(TEMPLATES);
    await writeFile(join(folder, 'templates.json'), '[]');
    expect((await ask(folder, '/store/templates.json')).text).toBe('[]');
  });

  test('may be one file, which is one of the two', async () => {
    const file = join(folder, 'ours.json');
    await writeFile(file, JSON.stringify(FUNCTIONS));
    expect((await ask(file, '/store/functions.json')).status).toBe(200);
    expect((await ask(file, '/store/templates.json')).status).toBe(404);
  });

  test('are 404 where none is set or there, with what to do', async () => {
    expect(await ask(undefined, '/store/functions.json')).toMatchObject({
      status: 404,
      text: expect.stringContaining('storeFiles'),
    });
    expect((await ask(folder, '/store/functions.json')).status).toBe(404);
    expect((await ask(join(folder, 'nothing'), '/store/templates.json')).status).toBe(404);
  });

  test.each([
    ['{', 'it is not valid JSON'],
    ['[]', 'Invalid input'],
    [JSON.stringify({ version: '1', functions: [{ name: 'a' }] }), '"functions.0.title"'],
    [
      JSON.stringify({ version: '1', functions: [{ ...FUNCTIONS.functions[0], images: { x86_64: 1 } }] }),
      'images.x86_64',
    ],
  ])('a file that clients could not read is 500: %s', async (text, fault) => {
    await writeFile(join(folder, 'functions.json'), text);
    expect(await ask(folder, '/store/functions.json')).toMatchObject({
      status: 500,
      text: expect.stringContaining(fault),
    });
  });
});

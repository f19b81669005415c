import { describe, expect, test } from 'vitest';
import { jobSpecSchema } from '@ebb/contract';
import { parse } from 'yaml';
import { composeJobs } from './compose-jobs.ts';
import { joinCommand, splitCommand } from './split-command.ts';

const read = (text: string) => {
  const found = composeJobs(parse(text));
  if (found.kind === 'refused') throw new Error(found.message);
  return found;
};
const refusal = (service: string) => {
  const found = composeJobs(parse(`services:\n  work:\n    image: a\n${service}`));
  return found.kind === 'refused' ? found.message : undefined;
};

describe('a compose file as jobs', () => {
  test('the batch template is accepted as is, with keys of the service', () => {
    const { jobs, warnings } = read(`
version: '2'
services:
  resize:
    image: registry.example.org/resize:1
    command: python resize.py --size "640 480"
    environment:
      LEVEL: 3
    scale: 10
    retry_count: 3
    remove_containers: on_success
    cpu_shares: 512
    mem_limit: 512m
`);
    expect(warnings).toEqual([]);
    expect(jobs).toEqual([
      {
        name: 'resize',
        spec: {
          image: 'registry.example.org/resize:1',
          command: ['python', 'resize.py', '--size', '640 480'],
          tasks: 10,
          retries: 3,
          cleanup: 'on-success',
          cpu: 0.5,
          memory: '512Mi',
          env: { LEVEL: '3' },
        },
      },
    ]);
    expect(jobSpecSchema.safeParse(jobs[0]?.spec).success).toBe(true);
  });

  test('the same as labels, as a map or a list, also behind a prefix; other labels stay labels', () => {
    for (const labels of [
      '{batch.scale: "4", batch.retry_count: "1", team: red}',
      '["batch.scale=4", "batch.retry_count=1", "team=red"]',
    ]) {
      const { jobs } = read(`services:\n  a:\n    image: i\n    labels: ${labels}\n`);
      expect(jobs[0]?.spec).toMatchObject({ tasks: 4, retries: 1, labels: { team: 'red' } });
    }
  });

  test('depends_on is the order, replicas are tasks, and environment may be a list', () => {
    const { jobs } = read(`
services:
  fetch: { image: a, command: [wget, x], environment: ["A=1=2"] }
  Pack_All: { image: b, depends_on: [fetch], deploy: { replicas: 3, resources: { limits: { cpus: '2', memory: 1g } } } }
`);
    expect(jobs).toMatchObject([
      { name: 'fetch', spec: { command: ['wget', 'x'], env: { A: '1=2' } } },
      { name: 'pack-all', spec: { after: ['fetch'], tasks: 3, cpu: 2, memory: '1Gi' } },
    ]);
  });

  test('keys that mean nothing are named, not silently dropped', () => {
    const { warnings } = read(
      'services:\n  a:\n    image: i\n    ports: ["80:80"]\n    restart: always\nnetworks: {}\n',
    );
    expect(warnings).toEqual([
      '"networks" means nothing for jobs',
      '"services.a.ports" means nothing for jobs',
      '"services.a.restart" means nothing for jobs',
    ]);
  });

  test('what would lead out of the sandbox is refused with the place (case 31)', () => {
    for (const line of [
      'privileged: true',
      'volumes: ["/:/host"]',
      'volumes: ["/var/run/docker.sock:/var/run/docker.sock"]',
      'network_mode: host',
      'pid: host',
      'ipc: host',
      'devices: ["/dev/sda"]',
      'cap_add: [SYS_ADMIN]',
      'security_opt: ["seccomp=unconfined"]',
      'userns_mode: host',
    ]) {
      expect(refusal(`    ${line}`), line).toContain(`"services.work.${line.split(':')[0] ?? ''}"`);
    }
    expect(refusal('    privileged: false\n    cap_add: []\n    network_mode: none')).toBeUndefined();
  });

  test('values that are not allowed are refused with what is', () => {
    expect(refusal('    scale: many')).toContain('"services.work.scale" is "many" but must be a whole number from 1');
    expect(refusal('    mem_limit: lots')).toContain('"512m"');
    expect(refusal('    remove_containers: maybe')).toContain('"on-success"');
    expect(refusal('    command: echo "open')).toContain('quote');
    expect(composeJobs({ services: { a: { build: '.' } } })).toMatchObject({ kind: 'refused' });
  });
});

describe('splitting a command', () => {
  test('goes by quotes and backslashes as a shell does', () => {
    expect(splitCommand(`sh -c 'echo "a b"' "x \\"y\\"" a\\ b '' end`)).toEqual([
      'sh',
      '-c',
      'echo "a b"',
      'x "y"',
      'a b',
      '',
      'end',
    ]);
    expect(splitCommand("it's")).toBeUndefined();
    const words = ['sh', '-c', `if [ "$A" = 'x' ]; then exit 3; fi`, '', 'a\\b'];
    expect(splitCommand(joinCommand(words))).toEqual(words);
  });
});

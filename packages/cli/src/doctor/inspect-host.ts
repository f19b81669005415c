import { constants, existsSync } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type Finding, formatBytes } from '@ebb/contract';
import type { CommandContext } from '../core/command.ts';

const OLDEST_NODE = 24;
const LITTLE_DISK_BYTES = 2 * 2 ** 30;
const DOCKER_TIMEOUT_MS = 3000;
const DEFAULT_SOCKET = '/var/run/docker.sock';

/** What this machine offers to a server, found without one. Never throws. */
export async function inspectHost(context: Pick<CommandContext, 'env' | 'cwd' | 'parameters'>): Promise<Finding[]> {
  const dataDir = resolve(context.cwd, context.parameters.text('dataDir') ?? (context.env['EBB_DATA_DIR'] || '.ebb'));
  return [
    checkNode(),
    await checkDocker(context.env['EBB_DOCKER_SOCKET'] || DEFAULT_SOCKET),
    await checkDataDir(dataDir),
    await checkDisk(dataDir),
  ];
}

function checkNode(): Finding {
  const major = Number(process.versions.node.split('.')[0]);
  if (major > OLDEST_NODE + 1) return { check: 'node', level: 'ok', message: `Node ${process.versions.node}` };
  return {
    check: 'node',
    level: 'degraded',
    message: `Node ${process.versions.node} works, but a request costs about a quarter more CPU than on 26`,
    advice: 'use Node 26',
  };
}

async function checkDocker(socketPath: string): Promise<Finding> {
  const check = 'docker';
  const consequence = 'functions run as plain processes without isolation, and images cannot run';
  if (!existsSync(socketPath)) {
    return {
      check,
      level: 'missing',
      message: `no Docker daemon at ${socketPath}: ${consequence}`,
      advice:
        'install and start Docker (on Debian: apt-get install docker.io), or name its socket in EBB_DOCKER_SOCKET',
    };
  }
  try {
    const { Agent, request } = await import('undici');
    const { body } = await request('http://docker/version', {
      dispatcher: new Agent({ connect: { socketPath } }),
      signal: AbortSignal.timeout(DOCKER_TIMEOUT_MS),
    });
    const answer = (await body.json()) as { readonly Version?: string };
    return { check, level: 'ok', message: `Docker ${answer.Version ?? 'of unknown version'} answers at ${socketPath}` };
  } catch (error) {
    return {
      check,
      level: 'missing',
      message: `the Docker daemon at ${socketPath} does not answer (${error instanceof Error ? error.message : 'no reason'}): ${consequence}`,
      advice: 'start it, and see that you may use its socket (on Debian: be root or in the group docker)',
    };
  }
}

async function checkDataDir(dataDir: string): Promise<Finding> {
  const check = 'data directory';
  try {
    await access(nearestExisting(dataDir), constants.W_OK);
    const state = existsSync(dataDir) ? 'is writable' : 'will be made by the first "ebb up"';
    return { check, level: 'ok', message: `${dataDir} ${state}` };
  } catch {
    return {
      check,
      level: 'missing',
      message: `${dataDir} cannot be written by this user`,
      advice: 'choose another with --data-dir or EBB_DATA_DIR',
    };
  }
}

async function checkDisk(dataDir: string): Promise<Finding> {
  const check = 'disk';
  try {
    const { bavail, bsize } = await statfs(nearestExisting(dataDir));
    const free = bavail * bsize;
    const message = `${formatBytes(free)} free for the data directory`;
    if (free >= LITTLE_DISK_BYTES) return { check, level: 'ok', message };
    return {
      check,
      level: 'degraded',
      message,
      advice: `free some: code, images and logs want ${formatBytes(LITTLE_DISK_BYTES)}`,
    };
  } catch (error) {
    return { check, level: 'degraded', message: `free disk space is unknown: ${String(error)}` };
  }
}

function nearestExisting(path: string): string {
  return existsSync(path) || path === dirname(path) ? path : nearestExisting(dirname(path));
}

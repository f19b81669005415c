#!/usr/bin/env node
// Starts the command line under a Node that can run it. Plain JavaScript, so that even an old Node gets this far.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import module from 'node:module';
import { constants, homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const OLDEST_NODE = 24;

/**
 * How a server collects its garbage. Nearly all a call makes is garbage when it ends: halves of the young generation of
 * 8 MiB are collected as cheaply as Node's default of 16 and hold tens of megabytes less at rest, and what survives is so
 * little that waking other threads for it costs more than it saves.
 */
const SERVER_FLAGS = ['--max-semi-space-size=8', '--no-parallel-scavenge'];

installInFreshClone();
if (Number(process.versions.node.split('.')[0]) >= OLDEST_NODE) {
  becomeServer();
  // In a directory of one's own: a shared one would let other users of the machine put code into this process.
  module.enableCompileCache?.(join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'ebb', 'compiled'));
  const source = new URL('../src/main.ts', import.meta.url);
  const { main } = await import(existsSync(fileURLToPath(source)) ? source.href : '../dist/main.js');
  await main();
} else {
  const node = pinnedNode();
  if (node === undefined) {
    process.stderr.write(
      `error: ebb needs Node ${OLDEST_NODE} or newer, but this is ${process.version}; run "npm install" or update Node\n`,
    );
    process.exit(1);
  }
  runUnder(node);
}

/** In a clone where nothing was run yet there are no dependencies; `npm start` and `npm test` get them the same way. */
function installInFreshClone() {
  const setup = fileURLToPath(new URL('../../../scripts/setup.mjs', import.meta.url));
  const modules = fileURLToPath(new URL('../../../node_modules', import.meta.url));
  if (!existsSync(setup) || existsSync(modules)) return;
  const { status } = spawnSync(process.execPath, [setup], { stdio: ['ignore', 2, 2] });
  if (status !== 0) process.exit(1);
}

/** Options of the engine can be given only at its start, so `ebb up` starts once more, in the same process. */
function becomeServer() {
  const isGiven = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some((text) => text.includes('semi-space'));
  if (process.argv[2] !== 'up' || isGiven || !process.execve || process.platform === 'win32') return;
  const [node, ...rest] = process.argv;
  process.execve(node, [node, ...process.execArgv, ...SERVER_FLAGS, ...rest], process.env);
}

/** The Node of the `node` package from npm, where that is installed. */
function pinnedNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve('node/package.json');
    const binary = join(dirname(manifest), 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
}

/** Becomes, as far as anybody can tell, the same command under another Node. */
function runUnder(node) {
  const child = spawn(node, [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`error: ${node} could not be started: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    process.exit(signal === null ? code : 128 + (constants.signals[signal] ?? 0));
  });
}

// Runs before `npm start`, `npm test` and `npm run bench`, under whatever Node the machine has: installs the locked
// dependencies where they are missing or stale; with --examples those of the examples, which the tests use, too.
// Plain old JavaScript, because an old Node must still be told why.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const OLDEST_NODE = 20;
const STAMP = '.ebb-stamp';
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** Hash of what an install of `directory` depends on: the lock, and the platform its binaries are for. */
function wantedStamp(directory) {
  const lock = readFileSync(path.join(directory, 'package-lock.json'));
  return createHash('sha256').update(lock).update(`${process.platform}-${process.arch}`).digest('hex');
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Whether npm itself already brought the installed packages to what the lock says, as `npm install X` does. */
function matchesLock(directory) {
  const wanted = readJson(path.join(directory, 'package-lock.json'));
  const installed = readJson(path.join(directory, 'node_modules/.package-lock.json'));
  if (!wanted || !installed) return false;
  return Object.entries(wanted.packages).every(([name, entry]) => {
    if (!name.startsWith('node_modules/') || entry.optional) return true;
    const found = installed.packages[name];
    return found !== undefined && found.version === entry.version && found.integrity === entry.integrity;
  });
}

function isCurrent(directory, stamp) {
  try {
    return readFileSync(path.join(directory, 'node_modules', STAMP), 'utf8') === stamp;
  } catch {
    return false;
  }
}

/** Exit status of `npm ci`; npm and its scripts must not run on the Node that is being replaced. */
function install(directory) {
  const searchPath = (process.env.PATH ?? '')
    .split(path.delimiter)
    .filter((entry) => !entry.endsWith(path.join('node_modules', '.bin')))
    .join(path.delimiter);
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  const stdio = ['ignore', 'pipe', 'pipe'];
  const run = spawnSync('npm', args, { cwd: directory, env: { ...process.env, PATH: searchPath }, stdio });
  if (run.error) return run.error.message;
  if (run.status === 0) return undefined;
  const lines = String(run.stderr)
    .split('\n')
    .filter((line) => line.startsWith('npm error') && line.trim() !== 'npm error');
  return lines.slice(0, 12).join('\n') || `npm ended with ${run.status ?? run.signal}`;
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

const nodeMajor = Number.parseInt(process.versions.node, 10);
if (nodeMajor < OLDEST_NODE) {
  fail(
    `ebb: this is Node ${process.versions.node}, but setting up needs Node ${OLDEST_NODE} or later; install it and run this again.`,
  );
}

const examples = path.join(root, 'examples');
const samples =
  process.argv.includes('--examples') && existsSync(examples)
    ? readdirSync(examples).map((name) => path.join(examples, name))
    : [];
for (const directory of [root, ...samples]) {
  if (!existsSync(path.join(directory, 'package-lock.json'))) continue;
  const stamp = wantedStamp(directory);
  const isRoot = directory === root;
  const isComplete = !isRoot || existsSync(path.join(root, 'node_modules/node/bin/node'));
  if (isComplete && isCurrent(directory, stamp)) continue;
  if (!isComplete || !matchesLock(directory)) {
    const startedAt = Date.now();
    const where = isRoot ? 'the dependencies of Ebb' : `the dependencies of ${path.relative(root, directory)}`;
    console.error(`ebb: installing ${where} (npm ci)`);
    rmSync(path.join(directory, 'node_modules', STAMP), { force: true });
    const problem = install(directory);
    if (problem !== undefined) {
      console.error(problem);
      fail(`ebb: could not install ${where}; check that npm reaches its registry, then run this again.`);
    }
    console.error(`ebb: installed in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
  }
  mkdirSync(path.join(directory, 'node_modules'), { recursive: true });
  writeFileSync(path.join(directory, 'node_modules', STAMP), stamp);
}

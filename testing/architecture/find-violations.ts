import path from 'node:path';
import {
  ARROWS,
  BROWSER_ROOMS,
  DRIVER_ROOMS,
  ENVIRONMENT_READERS,
  LAZY_ARROWS,
  PURE_FILE,
  UNBOUND_ROOMS,
  WIRING,
} from './arrows.ts';
import type { ModuleImport, SourceModule } from './read-module.ts';

const PACKAGE_ROOMS: Readonly<Record<string, string>> = {
  '@ebb/contract': 'contract',
  '@ebb/sdk': 'sdk',
  '@ebb/server': 'server',
  '@ebb/runtime-node': 'runtime-node',
  ebb: 'cli',
};

/** Every breach of the house rules, as `file:line: what is wrong; what to do`. Test files may import anything. */
export function findViolations(modules: readonly SourceModule[]): readonly string[] {
  const sources = modules.filter((module) => !module.path.endsWith('.test.ts'));
  return [...sources.flatMap(checkModule), ...findCycles(sources)].toSorted();
}

/** The room a file belongs to; undefined outside of the house. */
export function roomOf(file: string): string | undefined {
  const inServer = /^packages\/server\/src\/(?:([^/]+)\/)?[^/]*/.exec(file);
  if (inServer) return inServer[1] ?? 'server';
  const inPackage = /^packages\/([^/]+)\//.exec(file);
  if (inPackage) return inPackage[1];
  const inRuntime = /^runtimes\/([^/]+)\//.exec(file);
  return inRuntime ? `runtime-${inRuntime[1]}` : undefined;
}

function checkModule(module: SourceModule): string[] {
  const room = roomOf(module.path);
  if (room === undefined) return [];
  const at = (line: number, message: string): string => `${module.path}:${line}: ${message}`;
  const violations = module.imports.flatMap((found) => {
    const message = checkImport(module.path, room, found);
    return message === undefined ? [] : [at(found.line, message)];
  });
  const add = (findings: SourceModule['undocumented'], advice: string): void => {
    for (const { line, what } of findings) violations.push(at(line, `"${what}" ${advice}`));
  };
  add(module.undocumented, 'is exported without a doc comment; say what it guarantees, its units and its errors');
  add(module.defaultExports, 'is a default export; export it by name');
  add(module.mutableState, 'is mutable state of a module; keep it inside the factory that needs it');
  if (!ENVIRONMENT_READERS.includes(room)) {
    add(module.environmentReads, 'reads the environment; make it a setting in config/ and take it as an option');
  }
  if (PURE_FILE.test(module.path)) add(module.impurities, 'is not pure; take the moment or value as an argument');
  return violations;
}

function checkImport(file: string, room: string, found: ModuleImport): string | undefined {
  if (found.specifier.startsWith('node:')) {
    if (BROWSER_ROOMS.includes(room)) return `${room} runs in browsers too, so it cannot import "${found.specifier}"`;
    if (PURE_FILE.test(file)) return `a pure file cannot import "${found.specifier}"; do the I/O in its caller`;
    return undefined;
  }
  const target = resolve(file, found.specifier);
  const targetRoom = PACKAGE_ROOMS[found.specifier] ?? (target === undefined ? undefined : roomOf(target));
  if (targetRoom === undefined) {
    return target === undefined ? undefined : `"${found.specifier}" lies outside of the house`;
  }
  return (
    checkArrow(room, targetRoom, found) ??
    (target === undefined ? undefined : checkDriver(file, target, found)) ??
    (PURE_FILE.test(file) ? checkPure(targetRoom, target, found) : undefined)
  );
}

function checkArrow(room: string, targetRoom: string, found: ModuleImport): string | undefined {
  if (room === targetRoom || UNBOUND_ROOMS.includes(room)) return undefined;
  const allowed = ARROWS[room];
  if (allowed === undefined)
    return `"${room}" is not in testing/architecture/arrows.ts; add it with what it may import`;
  if (allowed.includes(targetRoom)) return undefined;
  if (LAZY_ARROWS[room]?.includes(targetRoom)) {
    if (found.isDynamic || found.isType) return undefined;
    return `${room} may load ${targetRoom} only by a dynamic import`;
  }
  return `${room} must not import ${targetRoom}, only ${allowed.join(', ')}; go through an interface in core/ports.ts`;
}

function checkDriver(file: string, target: string, found: ModuleImport): string | undefined {
  const driver = driverOf(target);
  if (driver === undefined || driver === driverOf(file)) return undefined;
  if (!file.startsWith(WIRING)) return `only ${WIRING} may import the driver ${driver}`;
  if (found.isDynamic || found.isType) return undefined;
  return `the driver ${driver} must be loaded by a dynamic import, so that only configured ones load`;
}

function driverOf(file: string): string | undefined {
  const match = /^packages\/server\/src\/([^/]+)\/([^/]+)\//.exec(file);
  return match?.[1] !== undefined && DRIVER_ROOMS.includes(match[1]) ? `${match[1]}/${match[2]}` : undefined;
}

function checkPure(targetRoom: string, target: string | undefined, found: ModuleImport): string | undefined {
  if (target !== undefined && PURE_FILE.test(target)) return undefined;
  if (found.isType || targetRoom === 'contract') return undefined;
  return `a pure file may import only types, the contract and other pure files, but not "${found.specifier}"`;
}

function resolve(file: string, specifier: string): string | undefined {
  return specifier.startsWith('.') ? path.posix.join(path.posix.dirname(file), specifier) : undefined;
}

/** Circles of imports that are there when the program runs, each named once. */
function findCycles(modules: readonly SourceModule[]): readonly string[] {
  const graph = new Map(
    modules.map((module) => [
      module.path,
      module.imports
        .filter((found) => !found.isType && !found.isDynamic)
        .flatMap((found) => resolve(module.path, found.specifier) ?? []),
    ]),
  );
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, trail: readonly string[]): void => {
    const from = trail.indexOf(file);
    if (from !== -1) cycles.push(`${file}:1: imports itself through ${[...trail.slice(from + 1), file].join(' -> ')}`);
    if (from !== -1 || done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...trail, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return cycles;
}

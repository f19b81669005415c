import { installPackages, isInstalled } from './docker.ts';

/** Programs that tests run, each named as the Debian package it is in. */
const PROGRAMS = ['docker-registry', 'prometheus', 'prometheus-alertmanager'] as const;

/** A program of {@link PROGRAMS}. */
export type DebianProgram = (typeof PROGRAMS)[number];

/** Makes sure that the programs can be run; root installs Debian's where they are missing. Returns why not, if so. */
export async function ensureDebianPrograms(): Promise<string | undefined> {
  const missing: DebianProgram[] = [];
  for (const program of PROGRAMS) if (!(await isInstalled(program))) missing.push(program);
  if (missing.length === 0) return undefined;
  const names = missing.join(', ');
  if (process.getuid?.() !== 0) return `${names} not installed, and only root can install that`;
  if (!(await isInstalled('apt-get'))) return `${names} not installed, and there is no apt-get to install that with`;
  try {
    await installPackages(missing);
    return undefined;
  } catch (error) {
    return `Debian's ${names} cannot be installed: ${String(error)}`;
  }
}

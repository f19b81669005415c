import { describe, expect, test } from 'vitest';
import { type DaemonFacts, findings } from './findings.ts';

const good: DaemonFacts = {
  docker: '28.5.1',
  containerd: '2.1.5',
  runc: '1.3.3',
  cgroupVersion: '2',
  securityOptions: ['name=apparmor', 'name=seccomp,profile=builtin', 'name=cgroupns'],
  pidsLimit: true,
  memoryLimit: true,
  swapLimit: true,
  cpuQuota: true,
  storageDriver: 'overlay2',
  dockerFreeBytes: 2 ** 40,
  dataFreeBytes: 2 ** 40,
  firewall: { kind: 'active' },
  freezeBy: 'cgroup',
  sparesLack: undefined,
};
const find = (check: string, facts: Partial<DaemonFacts>) =>
  findings({ ...good, ...facts }).find((finding) => finding.check === check);

describe('what doctor says about Docker', () => {
  test('a current host has nothing to mend', () => {
    expect(findings(good).filter(({ level }) => level !== 'ok')).toEqual([]);
  });

  test('everything that is not well comes with advice', () => {
    const bad: DaemonFacts = {
      ...good,
      docker: '20.10.24+dfsg1',
      containerd: '1.6.20~ds1',
      runc: '1.1.5+ds1',
      cgroupVersion: '1',
      securityOptions: [],
      pidsLimit: false,
      memoryLimit: false,
      swapLimit: false,
      cpuQuota: false,
      storageDriver: 'vfs',
      dockerFreeBytes: 100,
      dataFreeBytes: undefined,
      firewall: { kind: 'absent', reason: 'the server does not run as root' },
      freezeBy: 'engine',
      sparesLack: 'the server does not run as root',
    };
    for (const finding of findings(bad)) {
      expect(finding.level, finding.check).not.toBe('ok');
      expect(finding.advice, finding.check).toMatch(/\.$/);
    }
  });

  test.each(['1.1.5+ds1-1+deb12u1', '1.2.7', '1.3.2', '1.3.0-rc.1', '1.4.0-rc.2'])('runc %s is unsafe', (runc) => {
    expect(find('runc', { runc })).toMatchObject({
      level: 'unsafe',
      message: expect.stringContaining('CVE-2025-31133'),
    });
  });

  test.each(['1.2.8', '1.2.9', '1.3.3', '1.4.0-rc.3', '1.4.0', '2.0.0'])('runc %s is well', (runc) => {
    expect(find('runc', { runc })).toMatchObject({ level: 'ok' });
  });

  test('an old runc is told of the older hole too', () => {
    expect(find('runc', { runc: '1.1.5' })?.message).toContain('CVE-2024-21626');
    expect(find('runc', { runc: '1.2.7' })?.message).not.toContain('CVE-2024-21626');
  });

  test('missing packet rules are unsafe and say why', () => {
    expect(find('network rules', { firewall: { kind: 'absent', reason: 'the host is not Linux' } })).toMatchObject({
      level: 'unsafe',
      message: expect.stringContaining('the host is not Linux'),
    });
  });
});

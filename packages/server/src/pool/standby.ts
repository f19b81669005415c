import { asEbbError } from '../core/errors.ts';
import type { Version } from '../core/ports.ts';
import type { Admission } from './admission.ts';
import type { PoolMembers } from './pool-members.ts';
import type { Member } from './stop-member.ts';
import type { VersionStarter } from './version-starter.ts';

/** What a {@link Standby} is made with. */
export interface StandbyOptions {
  readonly version: Version;
  readonly admission: Pick<Admission, 'waiting'>;
  readonly members: PoolMembers;
  readonly starter: VersionStarter;
  /** Whether the version serves no new requests, so that nothing is kept for them. */
  readonly isOver: () => boolean;
}

/** The instances of one version that are kept without work because its `standby` says so. */
export class Standby {
  readonly #options: StandbyOptions;

  constructor(options: StandbyOptions) {
    this.#options = options;
  }

  /** Instances missing that could be started. */
  get lacking(): number {
    const { version, members, starter, isOver } = this.#options;
    const { standby, scaleMax } = version.limits;
    if (standby === 0 || isOver() || starter.held) return 0;
    const room = scaleMax - members.ready - starter.starting - members.releasing;
    return Math.max(0, Math.min(room, standby - members.idle().length - starter.starting));
  }

  /** Its instances without work. */
  get idle(): number {
    const { version, members } = this.#options;
    return version.limits.standby === 0 ? 0 : Math.min(version.limits.standby, members.idle().length);
  }

  /** Stops the instance that was idle longest; others need its room. */
  giveUp(): void {
    const { members, admission } = this.#options;
    const [member] = this.idle > 0 ? members.idle() : [];
    if (member && admission.waiting === 0) members.drain(member);
  }

  /** Starts one instance. Never throws. */
  start(): void {
    const { starter } = this.#options;
    starter.startOne('standby').catch((error: unknown) => starter.failed(asEbbError(error)));
  }

  /** Idle instances that it does not keep, the longest idle first. */
  dispensable(): Member[] {
    const { version, members, isOver } = this.#options;
    const idle = members.idle();
    return isOver() ? idle : idle.slice(0, Math.max(0, idle.length - version.limits.standby));
  }
}

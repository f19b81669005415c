/** What a NATS server says of itself when a client connects. */
export interface NatsServerInfo {
  readonly version: string;
  readonly headers: boolean;
  readonly jetstream: boolean;
  readonly maxPayloadBytes: number;
}

/** Whether a queue can be kept on a server: why not, or what its owner should know, one sentence each. */
export type NatsServerVerdict =
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'usable'; readonly warning?: string | undefined };

/** Smallest `max_payload` that holds every record; also the default of NATS. */
export const MIN_PAYLOAD_BYTES = 2 ** 20;

const OLDEST = [2, 9, 0] as const;
/** The first that can be told to write each message to the disk before it acknowledges it. */
const FIRST_WITH_SYNC = [2, 10, 0] as const;
const FIRST_LOSING_STREAMS = [2, 10, 20] as const;
const FIRST_SOUND = [2, 10, 23] as const;

type Version = readonly [number, number, number];

/** Judges a server by its version and what it offers. */
export function classifyNatsServer(info: NatsServerInfo): NatsServerVerdict {
  const { maxPayloadBytes } = info;
  const version = parseVersion(info.version);
  if (!version || isBefore(version, OLDEST)) return refused(`is version ${info.version}, but 2.9 or later is needed`);
  if (!info.jetstream) return refused('has no JetStream; add a "jetstream" block to its configuration');
  if (!info.headers) return refused('has headers off; remove "no_header_support" from its configuration');
  if (maxPayloadBytes < MIN_PAYLOAD_BYTES) {
    return refused(`takes messages of ${maxPayloadBytes} bytes; set its "max_payload" to ${MIN_PAYLOAD_BYTES} or more`);
  }
  return { kind: 'usable', warning: warn(info.version, version) };
}

function warn(text: string, version: Version): string {
  if (isBefore(version, FIRST_WITH_SYNC)) {
    return `NATS server ${text} writes to the disk every two minutes and cannot be told otherwise, so accepted calls survive the end of its process but not a power failure; update it to 2.10.23 or later and set "sync_interval: always" in its "jetstream" block`;
  }
  if (!isBefore(version, FIRST_LOSING_STREAMS) && isBefore(version, FIRST_SOUND)) {
    return `NATS server ${text} can lose whole streams when its process is killed; update it to 2.10.23 or later and set "sync_interval: always" in its "jetstream" block`;
  }
  return `NATS server ${text} does not say whether it writes to the disk before it acknowledges; set "sync_interval: always" in its "jetstream" block, or a power failure can lose accepted calls`;
}

function refused(message: string): NatsServerVerdict {
  return { kind: 'refused', message };
}

function parseVersion(text: string): Version | undefined {
  const [, major, minor, patch] = /^v?(\d+)\.(\d+)\.(\d+)/.exec(text) ?? [];
  return major === undefined ? undefined : [Number(major), Number(minor), Number(patch)];
}

function isBefore(left: Version, right: Version): boolean {
  return (left[0] - right[0] || left[1] - right[1] || left[2] - right[2]) < 0;
}

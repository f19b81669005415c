import { createHash } from 'node:crypto';

/** What a subject of the journal is about. */
export type SubjectKind = 'item' | 'state' | 'key';

/** The names under which one installation's journal keeps things. */
export interface Subjects {
  /** All of them. */
  readonly all: string;
  /** What was accepted under an id; written once. */
  item(id: string): string;
  /** What has become of it since; absent as long as nothing has. */
  state(id: string): string;
  /** Which call an idempotency key of a lane stands for. */
  key(lane: string, key: string): string;
  /** What a subject is about; `name` is the id of items and states. Undefined for what is none of ours. */
  parse(subject: string): { readonly kind: SubjectKind; readonly name: string } | undefined;
}

/** Ids that are a token as they are; all others are encoded. */
const PLAIN = /^[A-Za-z0-9_-]{1,128}$/;
/** Begins encoded ids; no plain one contains it. */
const ENCODED = '=';

/** Names the subjects of an installation. */
export function createSubjects(installation: string): Subjects {
  const prefix = `ebb.${installation}.`;
  const token = (id: string) => (PLAIN.test(id) ? id : `${ENCODED}${Buffer.from(id).toString('base64url')}`);
  return {
    all: `${prefix}>`,
    item: (id) => `${prefix}item.${token(id)}`,
    state: (id) => `${prefix}state.${token(id)}`,
    key: (lane, key) => `${prefix}key.${createHash('sha256').update(`${lane}\0${key}`).digest('hex')}`,
    parse(subject) {
      if (!subject.startsWith(prefix)) return undefined;
      const [kind, name, ...rest] = subject.slice(prefix.length).split('.');
      if (rest.length > 0 || !name || (kind !== 'item' && kind !== 'state' && kind !== 'key')) return undefined;
      if (!name.startsWith(ENCODED)) return { kind, name };
      return { kind, name: Buffer.from(name.slice(1), 'base64url').toString() };
    },
  };
}

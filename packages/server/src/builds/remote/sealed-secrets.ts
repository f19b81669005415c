import nacl from 'tweetnacl';
import { parse } from 'yaml';
import { z } from 'zod';
import { EbbError } from '../../core/errors.ts';

/** How secrets for a build are sealed: Curve25519, XSalsa20 and Poly1305. */
const SEALING = 'nacl/box';
const KEY_ID_CHARS = 8;
/** What BuildKit takes. */
const MAX_SECRET_BYTES = 500 * 1024;
const MAX_SECRETS = 100;

/** A pair of keys secrets are sealed for. */
export interface SealingKeys {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

/** What a sender needs to seal secrets. */
export interface PublicKeyResource {
  readonly key_id: string;
  readonly algorithm: typeof SEALING;
  /** Base64 of 32 bytes. */
  readonly public_key: string;
}

const schema = z.object({
  version: z.literal('v1'),
  algorithm: z.literal(SEALING),
  key_id: z.string(),
  public_key: z.base64(),
  secrets: z.record(z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/), z.base64()),
});

/** What is said of the keys to everybody. */
export function showPublicKey({ publicKey }: Pick<SealingKeys, 'publicKey'>): PublicKeyResource {
  const text = Buffer.from(publicKey).toString('base64');
  return { key_id: text.slice(0, KEY_ID_CHARS), algorithm: SEALING, public_key: text };
}

/** The keys that belong to a secret one of 32 bytes. */
export function sealingKeysOf(secretKey: Uint8Array): SealingKeys {
  return nacl.box.keyPair.fromSecretKey(secretKey);
}

/**
 * Opens the secrets of a build, which are YAML. Throws BUILD_INVALID when it is none of that, when it is sealed for
 * another key, or was changed on the way; no message has a value in it.
 */
export function openSealedSecrets(text: string, keys: SealingKeys): Record<string, Uint8Array> {
  const sealed = schema.safeParse(parseYaml(text));
  if (!sealed.success) {
    const [issue] = sealed.error.issues;
    throw invalid(
      `"${issue?.path.join('.') ?? ''}" is not what it must be: ${issue?.message ?? 'it is something else'}`,
    );
  }
  const { key_id: keyId, public_key: sender, secrets } = sealed.data;
  const own = showPublicKey(keys).key_id;
  if (keyId !== own)
    throw invalid(
      `they are sealed for the key "${keyId.slice(0, 40)}", but this builder has "${own}"; fetch /publickey again`,
    );
  const senderKey = Buffer.from(sender, 'base64');
  if (senderKey.length !== nacl.box.publicKeyLength) throw invalid('"public_key" must be 32 bytes');
  const entries = Object.entries(secrets);
  if (entries.length > MAX_SECRETS) throw invalid(`there are ${entries.length}, but at most ${MAX_SECRETS} are taken`);
  return Object.fromEntries(entries.map(([id, box]) => [id, open(id, Buffer.from(box, 'base64'), senderKey, keys)]));
}

function open(id: string, box: Buffer, sender: Uint8Array, { secretKey }: SealingKeys): Uint8Array {
  const { nonceLength, overheadLength } = nacl.box;
  if (box.length > MAX_SECRET_BYTES + nonceLength + overheadLength)
    throw invalid(`"${id}" is longer than the ${MAX_SECRET_BYTES / 1024} KiB allowed`);
  const nonce = box.subarray(0, nonceLength);
  const value =
    nonce.length === nonceLength ? nacl.box.open(box.subarray(nonceLength), nonce, sender, secretKey) : null;
  if (value === null) throw invalid(`"${id}" cannot be opened: it was changed, or sealed with other keys`);
  return value;
}

function parseYaml(text: string): unknown {
  try {
    // No anchors: small text must not become a large value.
    return parse(text, { maxAliasCount: 0 });
  } catch {
    throw invalid('they are not YAML');
  }
}

function invalid(problem: string): EbbError {
  return new EbbError('BUILD_INVALID', `the secrets of the build cannot be used: ${problem}`);
}

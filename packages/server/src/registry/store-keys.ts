/** Keys of the registry's records. Names are checked before they get here, so "/" only ever separates. */

/** Prefix of every namespace record. */
export const NAMESPACES = 'namespace/';
/** The id the next namespace gets. */
export const NEXT_NAMESPACE_ID = 'counter/namespace';
/** Prefix of every function record. */
export const FUNCTIONS = 'function/';
/** Prefix of every version. */
export const VERSIONS = 'version/';
/** Prefix of what was said of versions. */
const NOTES = 'note/';
/** A known value under the secret key, by which a wrong key is noticed at start. */
export const SECRET_KEY_CHECK = 'check/secret-key';
/** Prefix of every rollout. */
export const ROLLOUTS = 'rollout/';
/** Prefix of every deploy that was accepted and is not carried out yet. */
export const ACCEPTED_DEPLOYS = 'accepted-deploy/';
/** Prefix of every secret. */
export const SECRETS = 'secret/';

/** Prefix of the key each namespace signs with. */
export const SIGNING_KEYS = 'signing-key/';

const VERSION_DIGITS = 10;

/** Key of a namespace. */
export function namespaceKey(name: string): string {
  return `${NAMESPACES}${name}`;
}

/** Key of a function, or without a name the prefix of all of a namespace. */
export function functionKey(namespace: string, name = ''): string {
  return `${FUNCTIONS}${namespace}/${name}`;
}

/** Key of one version, or without a number the prefix of all of a function; padded, so that they list in order. */
export function versionRecordKey(namespace: string, name: string, version?: number): string {
  return `${VERSIONS}${namespace}/${name}/${version === undefined ? '' : padded(version)}`;
}

/** Key of what was said of one version, or without a number the prefix of all of a function. */
export function versionNoteKey(namespace: string, name: string, version?: number): string {
  return `${NOTES}${namespace}/${name}/${version === undefined ? '' : padded(version)}`;
}

/** Key of one rollout, or without a number the prefix of all of a function; padded, so that they list in order. */
export function rolloutKey(namespace: string, name: string, id?: number): string {
  return `${ROLLOUTS}${namespace}/${name}/${id === undefined ? '' : String(id).padStart(VERSION_DIGITS, '0')}`;
}

/** Key of the deploy of a function that was accepted and is not carried out yet. */
export function acceptedDeployKey(namespace: string, name: string): string {
  return `${ACCEPTED_DEPLOYS}${namespace}/${name}`;
}

/** Key of the highest version number a function ever used; it outlives the function. */
export function versionCounterKey(namespace: string, name: string): string {
  return `counter/version/${namespace}/${name}`;
}

/** Key of a secret, or without a name the prefix of all of a namespace. */
export function secretKey(namespace: string, name = ''): string {
  return `${SECRETS}${namespace}/${name}`;
}

/** Key of the record of a namespace's signing key. */
export function signingKeyKey(namespace: string): string {
  return `${SIGNING_KEYS}${namespace}`;
}

function padded(version: number): string {
  return String(version).padStart(VERSION_DIGITS, '0');
}

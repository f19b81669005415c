/** What an `Authorization` header claims. */
export interface Credentials {
  readonly user: string;
  readonly secret: string;
}

/** The only user there is, unless a setting calls it otherwise; a bearer token is its secret. */
export const ADMIN_USER = 'admin';

/** Longest header that is looked at. */
const MAX_LENGTH = 4096;

/** Reads a Bearer or Basic header (RFC 6750, RFC 7617); undefined when it is neither or carries no secret. */
export function parseCredentials(authorization: string, user = ADMIN_USER): Credentials | undefined {
  if (authorization.length > MAX_LENGTH) return undefined;
  const space = authorization.indexOf(' ');
  const scheme = authorization.slice(0, space).toLowerCase();
  const value = authorization.slice(space + 1).trim();
  if (scheme === 'bearer') return withSecret(user, value);
  if (scheme !== 'basic') return undefined;
  const pair = Buffer.from(value, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon === -1 ? undefined : withSecret(pair.slice(0, colon), pair.slice(colon + 1));
}

function withSecret(user: string, secret: string): Credentials | undefined {
  return secret === '' ? undefined : { user, secret };
}

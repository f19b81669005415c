import { readBasicAuthFiles } from '../../auth/basic-auth-files.ts';
import type { Config } from '../../config/config-schema.ts';

/** Who may change things, as the settings say it. */
export interface GivenCredentials {
  readonly user: string;
  /** Absent where one is to be made, or the one of an earlier start holds. */
  readonly secret?: string;
}

/** The user and, if one is set, the secret; a setting comes before a file. Throws CONFIG_INVALID. */
export function givenCredentials({ adminUser, adminSecret, secretMountPath }: Config): GivenCredentials {
  if (adminSecret !== undefined) return { user: adminUser, secret: adminSecret };
  if (secretMountPath === undefined) return { user: adminUser };
  const { user, password } = readBasicAuthFiles(secretMountPath);
  return { user, secret: password };
}

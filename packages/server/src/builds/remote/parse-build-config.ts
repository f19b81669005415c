import { z } from 'zod';
import { EbbError } from '../../core/errors.ts';

/** What is to be built, as the sender of a build says it. */
export interface BuildConfig {
  readonly image: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly platform: string | undefined;
  readonly skipPush: boolean;
}

const MAX_ARGS = 200;
/** A registry's host, path and tag as Docker reads them; nothing in it can end a path or begin a query. */
const IMAGE =
  /^(?=.{1,400}$)(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::\d{1,5})?\/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::\w[\w.-]{0,127})?$/;
/** Images of the platform itself, which every instance of a runtime runs. */
const OWN = /^(?:docker\.io\/|index\.docker\.io\/)?ebb\//;
const PLATFORM = /^[a-z0-9]{1,20}\/[a-z0-9_]{1,20}(?:\/[a-z0-9]{1,10})?$/;

const schema = z.object({
  image: z
    .string()
    .regex(IMAGE, 'must be a name such as "registry.example:5000/team/name:tag"')
    .refine((image) => !OWN.test(image), 'must not begin with "ebb/", which are images of the platform'),
  buildArgs: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/, 'must be the name of an argument'),
      z.string().max(32_768),
    )
    .refine((args) => Object.keys(args).length <= MAX_ARGS, `must have at most ${MAX_ARGS} entries`)
    .nullish(),
  platforms: z.array(z.string().regex(PLATFORM, 'must be like "linux/amd64"')).nullish(),
  skipPush: z.boolean().nullish(),
});

/**
 * Reads `com.openfaas.docker.config`. Fields that are not known are left out, as older builders do. Throws BUILD_INVALID,
 * also for several platforms, of which Docker's own builder makes only one.
 */
export function parseBuildConfig(text: string): BuildConfig {
  const parsed = schema.safeParse(parseJson(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(`"${issue?.path.join('.') ?? ''}" ${issue?.message ?? 'is not what it must be'}`);
  }
  const { image, buildArgs, platforms, skipPush } = parsed.data;
  const [platform, ...more] = new Set(platforms ?? []);
  if (more.length > 0)
    throw invalid('"platforms" names several, but this builder makes an image for one; build them one after the other');
  return { image, buildArgs: buildArgs ?? {}, platform, skipPush: skipPush ?? false };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid('it is not JSON');
  }
}

function invalid(problem: string): EbbError {
  return new EbbError('BUILD_INVALID', `com.openfaas.docker.config cannot be used: ${problem}`);
}

import { type AliasSpecInput, WEIGHT_TOTAL } from '@ebb/contract';
import { CliError } from '../core/cli-error.ts';
import type { Parameters } from '../core/parameters.ts';
import { versionNumberOf } from '../core/version-number.ts';

/** Takes a part of an alias away. */
const NONE = 'none';

type Match = NonNullable<AliasSpecInput['match']>[number];

/**
 * What an alias is to say: `current` with what the options say in its place; what they do not say stays, and `none`
 * takes a part away. Throws USAGE.
 */
export function parseAliasOptions(
  parameters: Pick<Parameters, 'text' | 'list'>,
  current: AliasSpecInput | undefined,
): AliasSpecInput {
  const split = parameters.list('split');
  const [sticky, shadow] = [parameters.text('sticky'), parameters.text('shadow')];
  const match = parameters.list('match');
  if (split.length === 0 && !current) {
    throw new CliError('USAGE', 'say where the calls go: VERSION, or shares such as "7=90 8=10"');
  }
  const description = parameters.text('description') ?? current?.description;
  const parts = {
    sticky: sticky === undefined ? current?.sticky : parseSticky(sticky),
    shadow: shadow === undefined ? current?.shadow : parseShadow(shadow),
    match: match.length === 0 ? current?.match : match.filter((rule) => rule !== NONE).map(parseMatch),
  };
  return {
    versions: split.length === 0 ? (current?.versions ?? {}) : parseSplit(split),
    ...(description === undefined ? {} : { description }),
    ...(parts.sticky === undefined ? {} : { sticky: parts.sticky }),
    ...(parts.match === undefined ? {} : { match: parts.match }),
    ...(parts.shadow === undefined ? {} : { shadow: parts.shadow }),
  };
}

/** Reads `7`, or `7=90 8=10`. */
function parseSplit(parts: readonly string[]): Record<string, number> {
  const versions: Record<string, number> = {};
  for (const part of parts) {
    const [version = '', share] = part.split('=', 2);
    const number = versionNumberOf(version, 'split');
    if (share === undefined && parts.length > 1) {
      throw new CliError(
        'USAGE',
        `"${part}" has no share; with several versions each needs one, such as "${number}=50"`,
      );
    }
    if (versions[number] !== undefined) throw new CliError('USAGE', `version ${number} is named twice`);
    versions[number] = share === undefined ? WEIGHT_TOTAL : parsePercent(share, part);
  }
  return versions;
}

function parseSticky(text: string): AliasSpecInput['sticky'] {
  if (text === NONE) return undefined;
  const [by, ...rest] = text.split(':');
  const name = rest.join(':');
  if (by === 'header' && name === '') {
    throw new CliError('USAGE', '"--sticky" is "header" but must name it, such as "header:X-User"');
  }
  if (by !== 'cookie' && by !== 'header' && by !== 'client') {
    throw new CliError('USAGE', `"--sticky" is "${text}" but must be cookie, cookie:NAME, header:NAME, client or none`);
  }
  return { by, ...(name === '' ? {} : { name }) };
}

/** Reads `header:NAME[=VALUE]:VERSION` or the same with `cookie`; a value may have colons. */
function parseMatch(text: string): Match {
  const [, kind, name, value, version] = /^(header|cookie):([^=:]+)(?:=(.*))?:([v@]?\d+)$/.exec(text) ?? [];
  if (name === undefined || version === undefined) {
    throw new CliError(
      'USAGE',
      `"--match" is "${text}" but must be header:NAME[=VALUE]:VERSION or cookie:NAME[=VALUE]:VERSION`,
    );
  }
  return {
    ...(kind === 'header' ? { header: name } : { cookie: name }),
    ...(value === undefined ? {} : { value }),
    version: versionNumberOf(version, '--match'),
  };
}

function parseShadow(text: string): AliasSpecInput['shadow'] {
  if (text === NONE) return undefined;
  const [version = '', percent] = text.split('=', 2);
  return {
    version: versionNumberOf(version, '--shadow'),
    ...(percent === undefined ? {} : { percent: parsePercent(percent, text) }),
  };
}

function parsePercent(text: string, whole: string): number {
  const digits = /^(\d{1,3}(?:\.\d{1,2})?)%?$/.exec(text)?.[1];
  if (digits !== undefined && Number(digits) <= WEIGHT_TOTAL) return Number(digits);
  throw new CliError('USAGE', `the share in "${whole}" must be a percentage from 0 to 100 with at most two decimals`);
}

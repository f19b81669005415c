/** What `ebb` exits with; documented in docs/cli.md and stable, so scripts can use it. */
export const EXIT = {
  ok: 0,
  /** The platform or the function failed. */
  failed: 1,
  /** Wrong usage or an input that is not allowed. */
  usage: 2,
  notFound: 3,
  auth: 4,
  /** The server did not answer, or not in time. */
  unreachable: 5,
  interrupted: 130,
} as const;

/** Codes of the errors that the command line itself reports; those of the server are in the error catalog. */
export type CliErrorCode =
  | 'USAGE'
  | 'INPUT_INVALID'
  | 'MANIFEST_INVALID'
  | 'FILE_FAILED'
  | 'NOT_FOUND'
  | 'INSTALL_FAILED'
  | 'BUILD_FAILED'
  | 'LOGIN_REFUSED'
  | 'NO_SERVER'
  | 'UNREACHABLE'
  | 'INTERRUPTED';

const EXIT_CODES: Readonly<Record<CliErrorCode, number>> = {
  USAGE: EXIT.usage,
  INPUT_INVALID: EXIT.usage,
  MANIFEST_INVALID: EXIT.usage,
  FILE_FAILED: EXIT.usage,
  NOT_FOUND: EXIT.notFound,
  INSTALL_FAILED: EXIT.failed,
  BUILD_FAILED: EXIT.failed,
  LOGIN_REFUSED: EXIT.auth,
  NO_SERVER: EXIT.unreachable,
  UNREACHABLE: EXIT.unreachable,
  INTERRUPTED: EXIT.interrupted,
};

/** An expected failure of the command line itself: one sentence that says what to do. */
export class CliError extends Error {
  readonly code: CliErrorCode;
  /** Last lines that a program wrote before it failed, oldest first. */
  readonly logs: readonly string[];

  constructor(
    code: CliErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly logs?: readonly string[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CliError';
    this.code = code;
    this.logs = options.logs ?? [];
  }

  get exitCode(): number {
    return EXIT_CODES[this.code];
  }
}

/** Ends a command that has already said everything there is to say, with an exit code. */
export class QuietExit extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`exit ${exitCode}`);
    this.name = 'QuietExit';
    this.exitCode = exitCode;
  }
}

import type { EbbClient } from '@ebb/sdk';
import type { Output } from '../terminal/output.ts';
import type { StartTask } from '../terminal/progress.ts';
import type { Parameters } from './parameters.ts';

/** An argument of a command by position. */
export interface ArgumentDefinition {
  readonly name: string;
  readonly summary: string;
  /** `required`, `optional`, or `many` for any number including none. */
  readonly kind?: 'required' | 'optional' | 'many';
}

/** An option of a command. */
export interface OptionDefinition {
  /** As people type it: `-f, --follow`, `--tail <lines>`, `--no-probe`. */
  readonly flags: string;
  readonly summary: string;
  /** May be given several times. */
  readonly repeats?: boolean;
}

/** A server to talk to. */
export interface Connection {
  readonly client: EbbClient;
  readonly url: string;
  readonly hasToken: boolean;
}

/** Everything a command may use; it reads nothing else. */
export interface CommandContext {
  readonly parameters: Parameters;
  readonly output: Output;
  readonly startTask: StartTask;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Version of the command line. */
  readonly version: string;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Aborts when the person asks to stop, unless the command handles signals itself. */
  readonly signal: AbortSignal;
  /** Says an error that does not end the command. */
  readonly report: (error: unknown) => void;
  /**
   * Finds the server; throws NO_SERVER with a sentence that says what to do. With `again` it is looked for anew: one that
   * was started again has another token.
   */
  readonly connect: (options?: { readonly again?: boolean }) => Promise<Connection>;
}

/** One command: everything help, docs and the parser need to know about it. */
export interface CommandDefinition {
  /** Noun and verb: `function deploy`. */
  readonly name: string;
  /** Other ways to say it, in full: `deploy`, `function up`. */
  readonly aliases?: readonly string[];
  readonly summary: string;
  readonly args?: readonly ArgumentDefinition[];
  readonly options?: readonly OptionDefinition[];
  /** Options that are known only after loading something; loaded when the command is the one asked for. */
  readonly loadOptions?: () => Promise<readonly OptionDefinition[]>;
  readonly examples?: readonly string[];
  /** Whether the command handles SIGINT and SIGTERM itself. */
  readonly ownsSignals?: boolean;
  readonly run: (context: CommandContext) => Promise<void>;
}

/** Defines a command. */
export function defineCommand(definition: CommandDefinition): CommandDefinition {
  return definition;
}

import { CliError, EXIT } from './cli-error.ts';
import type { Output } from '../terminal/output.ts';
import { escapeControls } from '../terminal/escape-controls.ts';

/** An error as `ebb` shows it, whoever threw it. */
export interface ErrorReport {
  readonly code: string;
  readonly message: string;
  readonly exitCode: number;
  readonly component?: string;
  readonly callId?: string;
  readonly logs?: readonly string[];
  readonly retryAfterSeconds?: number;
  /** Only for defects. */
  readonly stack?: string;
}

/** Finds the words and the exit code for anything that was thrown. */
export function describeError(error: unknown): ErrorReport {
  if (error instanceof CliError) {
    const { code, message, exitCode, logs } = error;
    return { code, message, exitCode, ...(logs.length > 0 ? { logs } : {}) };
  }
  if (!(error instanceof Error)) return { code: 'INTERNAL', message: String(error), exitCode: EXIT.failed };
  // By name: the SDK and the server are loaded only by commands that need them.
  if (error.name === 'EbbUnreachableError') {
    return { code: 'UNREACHABLE', message: error.message, exitCode: EXIT.unreachable };
  }
  if (error.name === 'EbbApiError') {
    const api = error as Error & Omit<ErrorReport, 'exitCode'> & { readonly status: number };
    return {
      code: api.code,
      message: api.message,
      exitCode: exitCodeOf(api.code, api.status),
      ...(api.component === undefined ? {} : { component: api.component }),
      ...(api.callId === undefined ? {} : { callId: api.callId }),
      ...(api.logs === undefined || api.logs.length === 0 ? {} : { logs: api.logs }),
      ...(api.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: api.retryAfterSeconds }),
    };
  }
  if (error.name === 'EbbError' && 'code' in error && typeof error.code === 'string') {
    const exitCode = error.code === 'CONFIG_INVALID' ? EXIT.usage : EXIT.failed;
    return { code: error.code, message: error.message, exitCode };
  }
  if ('code' in error && typeof error.code === 'string' && 'syscall' in error) {
    return { code: 'FILE_FAILED', message: error.message, exitCode: EXIT.failed };
  }
  return {
    code: 'INTERNAL',
    message: `ebb failed: ${error.message}`,
    exitCode: EXIT.failed,
    ...(error.stack === undefined ? {} : { stack: error.stack }),
  };
}

/** Exit code for an error answer of the server. */
function exitCodeOf(code: string, status: number): number {
  if (
    code === 'ENGINE_TIMEOUT' ||
    code === 'FUNCTION_TIMEOUT' ||
    code === 'INSTANCE_BLOCKED' ||
    code === 'NO_INSTANCE_IN_TIME'
  )
    return EXIT.unreachable;
  if (status === 401 || status === 403 || code === 'TOO_MANY_ATTEMPTS') return EXIT.auth;
  if (status === 404) return EXIT.notFound;
  return status === 400 || status === 405 || status === 413 ? EXIT.usage : EXIT.failed;
}

/** Writes an error to standard error: a sentence with code and call id behind it, or with `--json` one JSON value. */
export function reportError(error: unknown, output: Output, env: Readonly<Record<string, string | undefined>>): number {
  const { exitCode, stack, ...report } = describeError(error);
  if (output.mode.json) {
    output.errorLine(JSON.stringify({ error: report }));
    return exitCode;
  }
  const facts = [report.code, ...(report.callId ? [`call ${report.callId}`] : [])].join(', ');
  output.errorLine(
    `${output.style('red', 'error:')} ${escapeControls(report.message)} ${output.style('dim', `(${escapeControls(facts)})`)}`,
  );
  for (const line of report.logs ?? []) output.errorLine(`  ${output.style('dim', '|')} ${escapeControls(line)}`);
  if (report.retryAfterSeconds !== undefined) output.errorLine(`Try again in ${report.retryAfterSeconds} s.`);
  if (stack !== undefined && env['EBB_DEBUG']) output.errorLine(stack);
  return exitCode;
}

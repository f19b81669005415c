import type { Finding } from '@ebb/contract';
import { QuietExit, EXIT } from '../../core/cli-error.ts';
import { type CommandContext, defineCommand } from '../../core/command.ts';
import { describeError } from '../../core/report-error.ts';
import { escapeControls } from '../../terminal/escape-controls.ts';
import type { Output, Style } from '../../terminal/output.ts';

const LEVEL_STYLES: Readonly<Record<Finding['level'], Style>> = {
  ok: 'green',
  degraded: 'yellow',
  unsafe: 'red',
  missing: 'red',
};

/** Says what this machine and the server lack; works without a server. */
export const doctorCommand = defineCommand({
  name: 'server doctor',
  aliases: ['doctor'],
  summary: 'say what this machine and the server offer and lack, and what to do',
  options: [{ flags: '--strict', summary: 'exit with 1 when something is unsafe or missing' }],
  async run(context) {
    const { output, startTask } = context;
    const task = await startTask('checking this machine and the server');
    const { inspectHost } = await import('../../doctor/inspect-host.ts');
    const [local, server] = await Promise.all([inspectHost(context), askServer(context)]);
    task.done();
    const report = { local, server: server.findings };
    output.result(report, () =>
      [
        output.style('bold', 'This machine'),
        ...local.flatMap((finding) => lines(finding, output)),
        '',
        output.style('bold', server.title),
        ...server.findings.flatMap((finding) => lines(finding, output)),
      ].join('\n'),
    );
    const isBad = [...local, ...server.findings].some(({ level }) => level === 'unsafe' || level === 'missing');
    if (isBad && context.parameters.flag('strict')) throw new QuietExit(EXIT.failed);
  },
});

async function askServer(context: CommandContext): Promise<{ title: string; findings: readonly Finding[] }> {
  let title = 'Server';
  try {
    const { client, url } = await context.connect();
    title = `Server at ${url}`;
    return { title, findings: await client.doctor({ signal: context.signal }) };
  } catch (error) {
    const { code, message } = describeError(error);
    const advice = code === 'UNREACHABLE' ? { advice: 'start it with "ebb up"' } : {};
    return { title, findings: [{ check: 'server', level: 'missing', message, ...advice }] };
  }
}

function lines(finding: Finding, output: Output): string[] {
  const mark = output.style(LEVEL_STYLES[finding.level], finding.level.padEnd(8));
  const first = `  ${mark}  ${escapeControls(`${finding.check}: ${finding.message}`)}`;
  return finding.advice === undefined
    ? [first]
    : [first, `            ${output.style('dim', escapeControls(finding.advice))}`];
}

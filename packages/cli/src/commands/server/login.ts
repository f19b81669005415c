import { CliError } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';
import { connectTo } from '../../core/connect.ts';
import { checkUrl } from '../../core/discover-server.ts';
import { writeSavedLogin } from '../../core/saved-login.ts';
import { askHidden } from '../../terminal/ask-hidden.ts';

/** Checks a server's secret and keeps it for later commands, readable by its owner only. */
export const loginCommand = defineCommand({
  name: 'server login',
  aliases: ['login'],
  summary: 'keep the address and secret of a server for later commands',
  examples: ['ebb login --url https://ebb.example.org', 'ebb login --url http://10.0.0.5:8080 --token "$SECRET"'],
  async run({ parameters, output, env, stdin, stderr, signal }) {
    const given = parameters.text('url') ?? (env['EBB_URL'] || undefined);
    if (given === undefined) throw new CliError('USAGE', 'name the server: "ebb login --url ADDRESS"');
    const url = checkUrl(given, '--url');
    const known = parameters.text('token') ?? (env['EBB_TOKEN'] || undefined);
    if (known === undefined && !stdin.isTTY) {
      throw new CliError('USAGE', 'give the secret with --token or EBB_TOKEN; there is no terminal to ask on');
    }
    const token = known ?? (await askHidden('Secret: ', stdin, stderr)).trim();
    if (token === '') throw new CliError('USAGE', 'the secret is empty');
    const { client } = await connectTo({ url, token });
    const server = await client.version({ signal });
    const path = await writeSavedLogin(env, { url, token });
    output.result({ url, server, savedIn: path }, () => `logged in to ${url} (Ebb ${server.version})`);
  },
});

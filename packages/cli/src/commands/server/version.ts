import { defineCommand } from '../../core/command.ts';
import { formatFields } from '../../terminal/table.ts';

/** Shows both versions; a server that cannot be reached is no error. */
export const versionCommand = defineCommand({
  name: 'server version',
  aliases: ['version'],
  summary: 'show the versions of the command line and of the server',
  async run({ output, version, connect, signal }) {
    const connection = await connect().catch(() => undefined);
    const server = await connection?.client.version({ signal }).catch(() => undefined);
    const client = { version, node: process.versions.node };
    output.result({ client, server: server ?? null, url: connection?.url ?? null }, () =>
      formatFields([
        ['ebb', `${version} (Node ${process.versions.node})`],
        [
          'server',
          server
            ? `${server.version} (Node ${server.node.replace(/^v/, '')}, engine ${server.engine})`
            : 'none reached',
        ],
        ['address', server && connection ? connection.url : undefined],
      ]),
    );
  },
});

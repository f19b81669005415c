/** Where a client on this machine reaches what listens at an address, which may be every address there is. */
export function clientUrl({ host, port }: { readonly host: string; readonly port: number }): string {
  return `http://${clientHost(host)}:${port}`;
}

function clientHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

/** What the platform tells about a call; docs/handlers.md lists all of it. */
interface Context {
  readonly callId: string;
  /** Milliseconds left until the call ends. */
  remainingMs(): number;
  /** The value of a secret that ebb.yaml names under `secrets`. */
  secret(name: string): Promise<string>;
}

export default {
  async fetch(request: Request, context: Context): Promise<Response> {
    const url = new URL(request.url);
    if (request.method === 'POST') {
      // Bodies stream: this answers while the request is still coming in.
      return new Response(request.body, { headers: { 'content-type': 'application/octet-stream' } });
    }
    console.log(`${request.method} ${url.pathname}`);
    return Response.json({ message: `Hello, ${url.searchParams.get('name') ?? 'world'}!`, callId: context.callId });
  },
};

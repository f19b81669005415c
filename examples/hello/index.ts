/** Greets whoever `?name=` names, and says which call this was. */
export default {
  fetch(request: Request, context: { readonly callId: string }): Response {
    const name = new URL(request.url).searchParams.get('name')?.slice(0, 100) || 'world';
    return Response.json({ message: `Hello, ${name}!`, callId: context.callId });
  },
};

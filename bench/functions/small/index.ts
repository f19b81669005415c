/** The function of the cold-start benchmark: TypeScript with a small dependency. */
import { greet } from './lib/greet.ts';

export function fetch(request: Request): Response {
  return Response.json({ message: greet(new URL(request.url).searchParams.get('name') ?? 'world') });
}

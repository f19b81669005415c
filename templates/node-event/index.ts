/** A JSON body is the event; without a body the query is: `?name=Ada`. */
interface GreetingEvent {
  readonly name?: string;
}

/** What the platform tells about a call; docs/handlers.md lists all of it. */
interface Context {
  readonly callId: string;
}

export async function handler(event: GreetingEvent, context: Context): Promise<object> {
  console.log('greeting', event.name ?? 'nobody in particular');
  return { message: `Hello, ${event.name ?? 'world'}!`, callId: context.callId };
}

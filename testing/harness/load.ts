/** What became of the requests of a load. */
export interface LoadResult {
  readonly ok: number;
  /** Status, or the error's code, of every request that did not succeed. */
  readonly failures: readonly string[];
}

/** Requests that are sent in the background until {@link Load.stop}. */
export interface Load {
  /** Ends the load once the running requests are done. */
  stop(): Promise<LoadResult>;
}

/** Sends requests from `clients` loops, one after the other in each. */
export function startLoad(send: () => Promise<Response>, clients: number): Load {
  const failures: string[] = [];
  let ok = 0;
  let isStopping = false;
  const loop = async (): Promise<void> => {
    while (!isStopping) {
      try {
        const response = await send();
        const text = await response.text();
        if (response.ok) ok += 1;
        else failures.push(`${response.status} ${text}`);
      } catch (error) {
        const cause = error instanceof Error ? error.cause : undefined;
        failures.push(cause instanceof Error && 'code' in cause ? String(cause.code) : String(error));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  };
  const loops = Promise.all(Array.from({ length: clients }, loop));
  return {
    async stop() {
      isStopping = true;
      await loops;
      return { ok, failures };
    },
  };
}

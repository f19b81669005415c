/** Time between two tries. */
const RETRY_MS = 50;

/** Tries something again, up to `tries` times, that another server makes possible in a moment. Throws what the last try did. */
export async function retried<T>(
  attempt: () => T | Promise<T>,
  tries: number,
  isPassing: (error: unknown) => boolean = () => true,
): Promise<T> {
  for (let left = tries; ; left -= 1) {
    try {
      return await attempt();
    } catch (error) {
      if (left <= 1 || !isPassing(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

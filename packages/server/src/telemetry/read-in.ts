/** What `read` gives within `ms` milliseconds; undefined when it takes longer or fails. */
export async function readIn<T>(ms: number, read: () => Promise<T>): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), ms);
  try {
    return await Promise.race([read().catch(() => undefined), promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Reads the answer of a pull, import or build to its end; progress is thrown away. Returns the ids the daemon named
 * (`aux`, or the status of an import). Throws an Error with the daemon's words when it reports one: such answers have
 * status 200 whatever happens.
 */
export async function readProgress(
  answer: AsyncIterable<unknown>,
  onText: (text: string) => void = () => {},
): Promise<readonly string[]> {
  const ids: string[] = [];
  let rest = '';
  const readLine = (line: string) => {
    if (line.trim() === '') return;
    const message: unknown = JSON.parse(line);
    if (typeof message !== 'object' || message === null) return;
    if ('error' in message) throw new Error(String(message.error));
    if ('stream' in message) onText(String(message.stream));
    if ('status' in message && /^sha256:[0-9a-f]{64}$/.test(String(message.status))) ids.push(String(message.status));
    if ('aux' in message && typeof message.aux === 'object' && message.aux !== null && 'ID' in message.aux) {
      ids.push(String(message.aux.ID));
    }
  };
  const decoder = new TextDecoder();
  for await (const chunk of answer) {
    const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) readLine(line);
  }
  readLine(rest);
  return ids;
}

/** The JSON values of a newline-delimited body, as they arrive; an unfinished last line is left out. */
export async function* readJsonLines<T>(response: Response): AsyncGenerator<T, void, undefined> {
  if (!response.body) return;
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of response.body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') yield JSON.parse(line) as T;
  }
}

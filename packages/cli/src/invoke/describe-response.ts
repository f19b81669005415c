/** An answer as `ebb invoke --json` prints it; a body that is no text is in `bodyBase64`. */
export interface ResponseDescription {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly bodyBase64?: string;
}

/** Reads a whole answer into one value that JSON can hold. */
export async function describeResponse(response: Response): Promise<ResponseDescription> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  const head = { status: response.status, headers: Object.fromEntries(response.headers) };
  try {
    return { ...head, body: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { ...head, bodyBase64: bytes.toBase64() };
  }
}

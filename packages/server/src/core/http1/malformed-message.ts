/** The other side of a connection sent what is not well-formed HTTP/1. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';
}

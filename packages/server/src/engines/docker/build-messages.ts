import protobuf from 'protobufjs';

/** How BuildKit numbers the fields of what is said between it and its clients, by their protocol's published definition. */
const root = protobuf.Root.fromJSON({
  nested: {
    HealthRequest: { fields: { service: { type: 'string', id: 1 } } },
    HealthResponse: { fields: { status: { type: 'int32', id: 1 } } },
    SecretRequest: { fields: { ID: { type: 'string', id: 1 } } },
    SecretResponse: { fields: { data: { type: 'bytes', id: 1 } } },
    CredentialsRequest: { fields: { Host: { type: 'string', id: 1 } } },
    CredentialsResponse: { fields: { Username: { type: 'string', id: 1 }, Secret: { type: 'string', id: 2 } } },
    Vertex: {
      fields: {
        digest: { type: 'string', id: 1 },
        name: { type: 'string', id: 3 },
        cached: { type: 'bool', id: 4 },
        started: { type: 'Moment', id: 5 },
        completed: { type: 'Moment', id: 6 },
      },
    },
    Moment: { fields: { seconds: { type: 'int64', id: 1 } } },
    VertexLog: {
      fields: {
        vertex: { type: 'string', id: 1 },
        stream: { type: 'int64', id: 3 },
        msg: { type: 'bytes', id: 4 },
      },
    },
    StatusResponse: {
      fields: {
        vertexes: { rule: 'repeated', type: 'Vertex', id: 1 },
        logs: { rule: 'repeated', type: 'VertexLog', id: 3 },
      },
    },
  },
});

/** Messages by name. */
export type BuildMessage =
  | 'HealthRequest'
  | 'HealthResponse'
  | 'SecretRequest'
  | 'SecretResponse'
  | 'CredentialsRequest'
  | 'CredentialsResponse'
  | 'StatusResponse';

/** The bytes of a message. */
export function encodeMessage(name: BuildMessage, value: Readonly<Record<string, unknown>>): Buffer {
  const type = root.lookupType(name);
  return Buffer.from(type.encode(type.create(value)).finish());
}

/** What the bytes of a message say; fields that are not set are their type's zero. Throws for what is none. */
export function decodeMessage(name: BuildMessage, bytes: Uint8Array): Readonly<Record<string, unknown>> {
  const type = root.lookupType(name);
  return type.toObject(type.decode(bytes), { defaults: true, arrays: true, longs: Number, bytes: Buffer });
}

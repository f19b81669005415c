import {
  CALL_ID_HEADER,
  CALLBACK_HEADER,
  DELAY_HEADER,
  type ErrorCode,
  IDEMPOTENCY_KEY_HEADER,
  KEY_HEADER,
  MAX_AGE_HEADER,
  PRIORITY_HEADER,
  REPLAYED_HEADER,
  RUN_AT_HEADER,
  SUBMIT_VALUES,
  type SubmitValues,
} from '@ebb/contract';

/** The way in for calls that are made later, which is the gateway's and no route of the control API. */
export const ASYNC_DOOR = { method: 'POST', path: '/async-function/{name}', operation: 'submitCall' } as const;

/** How a call that was handed in there is taken back: by its id, where a function's name would be. */
export const ASYNC_CANCEL = { method: 'DELETE', path: ASYNC_DOOR.path, operation: 'takeCallBack' } as const;

/** What taking a call back answers when nothing is taken back. */
export const ASYNC_CANCEL_ERRORS: readonly ErrorCode[] = [
  'UNAUTHENTICATED',
  'INVOCATION_NOT_FOUND',
  'METHOD_NOT_ALLOWED',
  'CONFLICT',
  'INVOCATION_ENDED',
  'TOO_MANY_ATTEMPTS',
  'INTERNAL',
  'STORE_FAILED',
];

/** What the way in answers when it accepts nothing. */
export const ASYNC_DOOR_ERRORS: readonly ErrorCode[] = [
  'BAD_PATH',
  'BAD_REQUEST',
  'INVALID_REQUEST',
  'DESTINATION_REFUSED',
  'UNAUTHENTICATED',
  'FUNCTION_NOT_FOUND',
  'ALIAS_NOT_FOUND',
  'VERSION_NOT_FOUND',
  'NAMESPACE_NOT_FOUND',
  'METHOD_NOT_ALLOWED',
  'REQUEST_TIMEOUT',
  'PAYLOAD_TOO_LARGE',
  'IDEMPOTENCY_MISMATCH',
  'ASYNC_QUEUE_FULL',
  'TOO_MANY_ATTEMPTS',
  'INTERNAL',
  'DRAINING',
  'STORE_FAILED',
  'STORAGE_FULL',
];

const MEANINGS: Readonly<Record<keyof SubmitValues, readonly [header: string, meaning: string]>> = {
  idempotencyKey: [
    IDEMPOTENCY_KEY_HEADER,
    'A second submit with the same key, path, type and body is the first one’s.',
  ],
  delay: [DELAY_HEADER, 'Begin no earlier than this long after the call was accepted.'],
  runAt: [RUN_AT_HEADER, 'Begin no earlier than this moment.'],
  priority: [PRIORITY_HEADER, 'Calls of the function with a higher one begin first.'],
  maxAge: [MAX_AGE_HEADER, 'Give the call up when it is older.'],
  key: [KEY_HEADER, 'What order, throttle, debounce and key limits go by.'],
  callback: [CALLBACK_HEADER, 'Where the answer is posted.'],
};

/** What the way in takes and answers with when it accepts a call, in the words of OpenAPI. */
export function describeAsyncDoor(): Readonly<Record<string, unknown>> {
  const headers = (Object.keys(MEANINGS) as (keyof SubmitValues)[]).map((value) => {
    const [name, meaning] = MEANINGS[value];
    const description = `${meaning} Must be ${SUBMIT_VALUES[value].allowed}.`;
    return { name, in: 'header', required: false, description, schema: { type: 'string' } };
  });
  const text = { schema: { type: 'string' } };
  return {
    operationId: ASYNC_DOOR.operation,
    summary: 'Accepts a call of a function to be made later; on disk when this is answered.',
    description: 'The function sees what follows the name as its path, the query, the other headers and the body.',
    // Only functions with `auth: required` want credentials.
    security: [{}, { bearer: [] }, { basic: [] }],
    parameters: [
      {
        name: CALL_ID_HEADER,
        in: 'header',
        required: false,
        description: 'A random UUID in lower case that becomes the id of the call, unless another call has it.',
        ...text,
      },
      {
        name: 'name',
        in: 'path',
        required: true,
        description: '`NAME` or `NAME.NAMESPACE`, each also with `:ALIAS` or `@VERSION`; any path may follow.',
        ...text,
      },
      ...headers,
    ],
    requestBody: { required: false, content: { '*/*': {} } },
    responses: {
      202: {
        description: 'The call is accepted.',
        headers: {
          [CALL_ID_HEADER]: { ...text, description: 'Id of the call.' },
          location: { ...text, description: 'Where to ask how it stands.' },
          [REPLAYED_HEADER]: { ...text, description: '`true` where the call was accepted before.' },
        },
      },
    },
  };
}

/** What taking a call back takes and answers with, in the words of OpenAPI. */
export function describeAsyncCancel(): Readonly<Record<string, unknown>> {
  return {
    operationId: ASYNC_CANCEL.operation,
    summary: 'Takes an asynchronous call back: one that waits at once, one that runs by aborting its request.',
    security: [{}, { bearer: [] }, { basic: [] }],
    parameters: [
      { name: 'name', in: 'path', required: true, description: 'Id of the call.', schema: { type: 'string' } },
    ],
    responses: { 202: { description: 'The call is cancelled.' } },
  };
}

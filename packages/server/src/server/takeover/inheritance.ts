import type { ListenAddress } from '../../config/listen-address.ts';
import type { Inheritance } from '../front.ts';
import { receivePort } from './port-transfer.ts';
import type { Predecessor } from './predecessor.ts';

/** What a server that listens on `listen` gets from the one it replaces; the port only where it is the one that is wanted. */
export function inheritanceOf(predecessor: Predecessor, listen: ListenAddress): Inheritance {
  const { host, port, portSocket, relaySocket } = predecessor;
  const isSame = listen.host === host && (listen.port === port || listen.port === 0);
  return {
    relaySocket,
    isThere: () => predecessor.isThere,
    ...(isSame ? { from: (take) => receivePort(portSocket, take) } : {}),
  };
}

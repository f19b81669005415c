import { afterAll, beforeAll } from 'vitest';
import { describeWithDocker } from '../../harness/docker.ts';
import { describeAsync } from './async.ts';
import { describeConnectors } from './connectors.ts';
import { describeFunctions } from './functions.ts';
import { type Gateway, openGateway } from './gateway.ts';
import { describeInvoking } from './invoking.ts';
import { describeLogs } from './logs.ts';
import { describeNamespaces } from './namespaces.ts';
import { describeNumbers } from './numbers.ts';
import { describeSecrets } from './secrets.ts';
import { describeTransport } from './transport.ts';

/**
 * What clients made for OpenFaaS send, by plain HTTP, and what they need to get back. No such client is run. With
 * `OPENFAAS_TEST_URL` it is pointed at any compatible gateway (see gateway.ts).
 */
describeWithDocker('a gateway compatible with OpenFaaS', (socketPath) => {
  let opened: Gateway | undefined;
  beforeAll(async () => {
    opened = await openGateway(socketPath);
  });
  afterAll(async () => {
    await opened?.[Symbol.asyncDispose]();
  });
  const gateway = (): Gateway => {
    if (!opened) throw new Error('the gateway was not opened');
    return opened;
  };
  describeTransport(gateway);
  describeFunctions(gateway);
  describeSecrets(gateway);
  describeNamespaces(gateway);
  describeInvoking(gateway);
  describeAsync(gateway);
  describeConnectors(gateway);
  describeLogs(gateway);
  describeNumbers(gateway);
});

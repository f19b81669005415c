/** The benchmark's function without any platform: Node's own server around the same handler. */
import { createServer, type RequestListener } from 'node:http';
import { createRequire } from 'node:module';

const handler = createRequire(import.meta.url)('../functions/plain/index.js') as RequestListener;
const server = createServer(handler);
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.send?.({ url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/` });
});

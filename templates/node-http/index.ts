import { createServer } from 'node:http';

// The server of an ordinary Node application, or of a framework; it is served without being told to listen.
const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://localhost');
  console.log(`${request.method} ${url.pathname}`);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ message: `Hello, ${url.searchParams.get('name') ?? 'world'}!` }));
});

export default server;

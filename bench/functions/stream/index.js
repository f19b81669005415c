/** Takes what it is sent and says how much that was; sends as many MB as the query asks for. */
const PIECE = Buffer.alloc(65_536, 'x');

module.exports = (request, response) => {
  const megabytes = Number(new URL(request.url, 'http://x').searchParams.get('mb') ?? 0);
  if (request.method === 'POST') {
    let bytes = 0;
    request.on('data', (chunk) => (bytes += chunk.length));
    request.on('end', () => response.end(String(bytes)));
    return;
  }
  let left = megabytes * 16;
  response.setHeader('Content-Length', left * PIECE.length);
  const more = () => {
    while (left > 0) {
      left -= 1;
      if (!response.write(PIECE)) {
        response.once('drain', more);
        return;
      }
    }
    response.end();
  };
  more();
};

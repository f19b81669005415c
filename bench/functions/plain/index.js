/** The function of the benchmarks: a small JSON answer, nothing else. */
const body = JSON.stringify({ message: 'hello', items: [1, 2, 3] });

module.exports = (request, response) => {
  response.setHeader('Content-Type', 'application/json');
  response.setHeader('Content-Length', Buffer.byteLength(body));
  response.end(body);
};

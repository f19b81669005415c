/** Takes 20 ms and little CPU, so that its concurrency and not the machine says how many it can serve. */
module.exports = (request, response) => {
  setTimeout(() => response.end('done'), 20);
};

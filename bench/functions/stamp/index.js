/** Says when it was called, on the clock that all processes of a host share, and how often. */
let calls = 0;

module.exports = (request, response) => {
  const at = process.hrtime.bigint();
  if (request.url !== '/count') calls += 1;
  response.end(`${at} ${calls}`);
};

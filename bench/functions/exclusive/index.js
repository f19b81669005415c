/** Answers 500 if it is called while it still works on another call, which `concurrency: 1` forbids. */
let isBusy = false;

module.exports = (request, response) => {
  if (isBusy) {
    response.statusCode = 500;
    response.end('two calls at once');
    return;
  }
  isBusy = true;
  setImmediate(() => {
    isBusy = false;
    response.end('done');
  });
};

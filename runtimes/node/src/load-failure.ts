/** Exit code of a handler that cannot be loaded; the server tells it apart from one that ends by itself. */
export const HANDLER_FAILED_EXIT = 70;
/** Exit code of a handler that waits at top level for what cannot come any more; Node's own code for it. */
export const NEVER_SETTLED_EXIT = 13;

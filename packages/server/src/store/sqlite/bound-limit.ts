/**
 * Bounds the rows of a statement by a parameter. SQLite reads a parameter that is all of a limit when it plans a statement,
 * and so plans it anew each time another value is bound; of a sum it does not.
 */
export const BOUND_LIMIT = 'LIMIT ? + 0';

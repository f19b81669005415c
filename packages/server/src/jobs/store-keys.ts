/** Keys of what is kept of jobs. Ids and namespaces are checked before they get here, so "/" only ever separates. */

/** Prefix of every job. */
export const JOBS = 'job/';
/** Inputs in one entry of the store. */
export const INPUTS_PER_ENTRY = 500;

const INDEX_DIGITS = 6;
const ENTRY_DIGITS = 4;

/** Key of a job. */
export function jobKey(namespace: string, id: string): string {
  return `${JOBS}${namespace}/${id}`;
}

/** Key of a task, or without an index the prefix of all of a job; padded, so that they list in order. */
export function taskKey(id: string, index?: number): string {
  return `job-task/${id}/${index === undefined ? '' : padded(index)}`;
}

/** Prefix of a thousand tasks of a job, those around `index`. */
export function taskPageKey(id: string, index: number): string {
  return `job-task/${id}/${padded(index).slice(0, -3)}`;
}

/** The index in a key of a task. */
export function indexOfTaskKey(key: string): number {
  return Number(key.slice(key.lastIndexOf('/') + 1));
}

/** Key of one entry of a job's inputs, or without a number the prefix of all of them. */
export function inputsKey(id: string, entry?: number): string {
  return `job-input/${id}/${entry === undefined ? '' : String(entry).padStart(ENTRY_DIGITS, '0')}`;
}

function padded(index: number): string {
  return String(index).padStart(INDEX_DIGITS, '0');
}

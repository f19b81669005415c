/** The thread that owns the file of the durable queue. */
import { QUEUE_FILE } from './queue-file.ts';
import { serveFile } from './serve-file.ts';

serveFile(QUEUE_FILE);

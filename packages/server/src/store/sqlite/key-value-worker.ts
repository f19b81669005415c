/** The thread that owns the file of the durable map. */
import { KEY_VALUE_FILE } from './key-value-file.ts';
import { serveFile } from './serve-file.ts';

serveFile(KEY_VALUE_FILE);

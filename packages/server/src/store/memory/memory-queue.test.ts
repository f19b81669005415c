import { queueConformance } from '../../../../../testing/conformance/queue.ts';
import { createMemoryQueue } from './memory-queue.ts';

queueConformance('memory', async () => ({ queue: createMemoryQueue() }));

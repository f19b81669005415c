import { keyValueConformance } from '../../../../../testing/conformance/key-value.ts';
import { createMemoryKeyValue } from './memory-key-value.ts';

keyValueConformance('memory', async () => createMemoryKeyValue());

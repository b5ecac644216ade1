/**
 * For a process that forks often: V8's young generation stays as small as it begins.
 *
 * A fork copies the tables of all memory that was written to, and the child's exec takes them apart again. Left alone,
 * the young generation grows to 32 MiB, more than all else that such a process holds.
 */
import { setFlagsFromString } from 'node:v8';

/** To be called before much is allocated; what has grown does not shrink. */
export const keepYoungGenerationSmall = (): void => {
  setFlagsFromString('--semi-space-growth-factor=1');
};

/** The garbage collector, on request, without a flag on the command line. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Collects all that nothing holds. */
export const collectGarbage: () => void = runInNewContext('gc');

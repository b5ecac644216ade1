/** How a Run ended → the exit code of whoever waited for it. */
import type { Run } from '../../model/run.js';
import { endOf, reasonOf } from './read-run.js';

/** Failed for another reason than its exit code. */
export const FAILED_OTHERWISE = 125;
export const TIMED_OUT = 124;
export const CANCELLED = 130;

/** The script's own code; 124 Timeout; 130 Cancelled; 125 failed otherwise. The Run must have ended. */
export const exitCodeOf = (run: Run): number => {
  switch (endOf(run)) {
    case 'Succeeded':
      return 0;
    case 'Timeout':
      return TIMED_OUT;
    case 'Cancelled':
      return CANCELLED;
    case 'Failed': {
      const code = run.status?.exitCode;
      return reasonOf(run) === 'RuntimeError' && code !== undefined && code > 0 && code < 256
        ? code
        : FAILED_OTHERWISE;
    }
    case undefined:
      return FAILED_OTHERWISE;
  }
};

/** Did an attempt leave any artifacts? Most do not, and for those one system call is the whole answer. */
import { rmdirSync } from 'node:fs';

/**
 * Removes the folder if it is one and nothing is in it: true when it is gone. Looking and removing are one step, so
 * that there is nothing to be led astray by; a link in its place is no folder. What is removed here need not be
 * removed later.
 */
export const isRemovedAsEmpty = (path: string): boolean => {
  try {
    rmdirSync(path);
    return true;
  } catch {
    return false;
  }
};

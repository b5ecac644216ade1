/** Did an attempt leave any artifacts? Most do not, and for those one look is the whole answer. */
import { lstatSync, readdirSync } from 'node:fs';

/** Whether it is a folder, not a link to one, with nothing in it. What can not be read is not empty. */
export const isEmptyFolder = (path: string): boolean => {
  try {
    return lstatSync(path).isDirectory() && readdirSync(path).length === 0;
  } catch {
    return false;
  }
};

/** Where is git? Looked up on PATH without starting anything. */
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';

/** The absolute path of the program, or undefined. */
export const findGit = async (path: string | undefined): Promise<string | undefined> => {
  for (const folder of (path ?? '').split(':').filter((name) => name.startsWith('/'))) {
    const file = join(folder, 'git');
    try {
      await access(file, constants.X_OK);
      return file;
    } catch {
      // Not here.
    }
  }
  return undefined;
};

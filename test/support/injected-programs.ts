/** Our programs built with a file of the tests in each of them. */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Builds them below `folder`, with what they need beside them. Resolves with where they are.
 *
 * @param inject the file that each program begins with
 * @param names programs of the package (src/main/programs.js)
 */
export const injectedPrograms = async (
  folder: string,
  inject: URL,
  names: ReadonlyArray<string>,
): Promise<string> => {
  const programs = join(folder, 'dist');
  mkdirSync(programs, { recursive: true });
  for (const part of ['crds', 'package.json'])
    cpSync(join(root, part), join(folder, part), { recursive: true });
  const build = join(root, 'src/main/build.js');
  const flags = ['--outdir', programs, '--inject', fileURLToPath(inject)];
  await promisify(execFile)(process.execPath, [build, ...flags, ...names]);
  return programs;
};

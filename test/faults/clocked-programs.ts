/** The programs with a clock that can be set (set-clock.ts), and who sets it. */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const PROGRAMS = ['controller', 'runtimed', 'bash-runtime', 'apiserver', 'kubelet'] as const;

export type ClockedPrograms = Readonly<{
  /** Where they are. */
  folder: string;
  /** Puts the wall clock of one program, or of all of them (`*`), off by so much, milliseconds. */
  set: (program: (typeof PROGRAMS)[number] | '*', offsetMs: number) => void;
  remove: () => void;
}>;

/** Builds them below `folder`. */
export const clockedPrograms = async (folder: string): Promise<ClockedPrograms> => {
  const programs = join(folder, 'dist');
  mkdirSync(programs, { recursive: true });
  for (const part of ['crds', 'package.json'])
    cpSync(join(root, part), join(folder, part), { recursive: true });
  await promisify(execFile)(process.execPath, [
    join(root, 'src/main/build.js'),
    '--outdir',
    programs,
    '--inject',
    fileURLToPath(new URL('set-clock.ts', import.meta.url)),
    ...PROGRAMS,
  ]);
  return {
    folder: programs,
    set: (program, offsetMs) => {
      const path = join(programs, 'clocks.json');
      writeFileSync(`${path}.new`, JSON.stringify({ [program]: offsetMs }));
      renameSync(`${path}.new`, path);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
};

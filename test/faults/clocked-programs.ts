/** The programs with a clock that can be set (set-clock.ts), and who sets it. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { injectedPrograms } from '../support/injected-programs.js';

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
  const programs = await injectedPrograms(folder, new URL('set-clock.ts', import.meta.url), PROGRAMS);
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

/**
 * The programs with a switch in them: each SIGUSR2 begins or ends a CPU profile, a file that Chrome's or VS Code's
 * viewer shows as a flame graph. A copy, so that what is measured otherwise has nothing of it.
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { controlPlaneId } from '../../src/embedded/kubelet/kubelet.js';
import { pidsWith } from '../e2e/pids.js';

const PROGRAMS = ['apiserver', 'controller', 'kubelet', 'runtimed', 'bash-runtime'];
const root = fileURLToPath(new URL('../..', import.meta.url));

const switchCode = (program: string, folder: string): string => `
import * as inspector_ from 'node:inspector';
import { writeFileSync as write_ } from 'node:fs';
{
  let session; let serial = 0;
  process.on('SIGUSR2', () => {
    if (session === undefined) {
      session = new inspector_.Session();
      session.connect();
      session.post('Profiler.enable');
      session.post('Profiler.setSamplingInterval', { interval: 250 });
      session.post('Profiler.start');
      return;
    }
    const ending = session;
    session = undefined;
    ending.post('Profiler.stop', (error, answer) => {
      serial += 1;
      if (!error) write_(\`${folder}/${program}-\${process.pid}-\${serial}.cpuprofile\`, JSON.stringify(answer.profile));
      ending.disconnect();
    });
  });
}
`;

/** Makes the copy below `folder`, whose profiles go to \`profiles\`; the folder of the programs. */
export const profiledPrograms = (folder: string, profiles: string): string => {
  const programs = join(folder, 'dist');
  mkdirSync(profiles, { recursive: true });
  for (const part of ['dist', 'crds', 'package.json'])
    cpSync(join(root, part), join(folder, part), { recursive: true });
  for (const program of PROGRAMS) {
    const file = join(programs, `${program}.js`);
    writeFileSync(file, switchCode(program, profiles) + readFileSync(file, 'utf8'));
  }
  return programs;
};

/** Begins the profiles of all programs of a control plane, or ends them. */
export const switchProfiles = (dataDir: string): void => {
  const marker = `KRUNTIME_CONTROL_PLANE=${controlPlaneId(dataDir)}`;
  for (const program of PROGRAMS)
    for (const pid of pidsWith(marker, `${program}.js`)) process.kill(pid, 'SIGUSR2');
};

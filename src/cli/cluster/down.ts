/** `krt down` */
import { stopControlPlane } from '../../embedded/control-plane/index.js';
import type { Input } from '../input.js';
import type { Krt, Verb } from '../krt.js';
import { dataDirFlag } from './data-dir.js';

/** Errors: Usage. */
export const parse = (input: Input): Readonly<{ dataDir: string }> => ({ dataDir: dataDirFlag(input) });

export type DownDeps = Pick<Krt, 'terminal'> & Readonly<{ stop: typeof stopControlPlane }>;

/** Stopping what does not run is no error. */
export const execute = async (
  { dataDir }: Readonly<{ dataDir: string }>,
  { terminal, stop }: DownDeps,
): Promise<number> => {
  const outcome = await stop(dataDir);
  if (outcome === 'stopped') terminal.out(`control plane on ${dataDir} stopped\n`);
  else terminal.err(`no control plane runs on ${dataDir}\n`);
  return 0;
};

export const down: Verb = async (input, { terminal }) =>
  execute(parse(input), { terminal, stop: stopControlPlane });

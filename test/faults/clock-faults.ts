/** Wall clocks that are set, of all programs (one machine) or of one (a cluster's nodes). */
import type { Fault } from './faults.js';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const HOUR_MS = 3_600_000;

type Program = 'controller' | 'runtimed' | 'bash-runtime' | 'apiserver' | 'kubelet';
const PARTS: Readonly<Record<string, Program | '*'>> = {
  'all clocks': '*',
  'operator’s clock': 'controller',
  'runtimeds’ clocks': 'runtimed',
  'Runtime Servers’ clocks': 'bash-runtime',
  'API server’s clock': 'apiserver',
  'kubelet’s clock': 'kubelet',
};

/** The clock stays off until all have ended. */
export const CLOCK_FAULTS: ReadonlyArray<Fault> = Object.entries(PARTS).flatMap(([part, program]) =>
  [-1, 1].map(
    (sign): Fault => ({
      name: `${part} set ${sign < 0 ? 'back' : 'forward'} an hour`,
      lacks: ({ clocks, cluster }) => {
        if (clocks === undefined) return 'its programs have the machine’s clock';
        // Those who are not ours have it, too.
        return cluster !== undefined && (program === '*' || program === 'apiserver')
          ? 'kube-apiserver has the machine’s clock'
          : undefined;
      },
      apply: async ({ clocks }) => {
        clocks?.set(program, sign * HOUR_MS);
        await sleep(1000);
      },
      after: async ({ clocks }) => clocks?.set(program, 0),
    }),
  ),
);

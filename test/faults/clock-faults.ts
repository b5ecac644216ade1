/** Wall clocks that are set, of all programs (one machine) or of one (a cluster's nodes). */
import type { Fault } from './faults.js';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

type Program = 'controller' | 'runtimed' | 'bash-runtime' | 'apiserver' | 'kubelet';

/** `forMs`: for how long; undefined: until all Runs have ended. */
const set = (part: string, program: Program | '*', what: string, byMs: number, forMs?: number): Fault => ({
  name: `${part} set ${what}`,
  lacks: ({ clocks, cluster }) => {
    if (clocks === undefined) return 'its programs have the machine’s clock';
    // Those who are not ours have it, too.
    return cluster !== undefined && (program === '*' || program === 'apiserver')
      ? 'kube-apiserver has the machine’s clock'
      : undefined;
  },
  apply: async ({ clocks }) => {
    clocks?.set(program, byMs);
    await sleep(forMs ?? 1000);
    if (forMs !== undefined) clocks?.set(program, 0);
  },
  after: async ({ clocks }) => clocks?.set(program, 0),
});

const backAndForth = (part: string, program: Program | '*'): ReadonlyArray<Fault> => [
  set(part, program, 'back an hour', -HOUR_MS),
  set(part, program, 'forward an hour', HOUR_MS),
];

/**
 * A token of a pod lives for an hour, and its kubelet has another when by its own clock most of that is over. So to an API
 * server that is an hour ahead of the kubelet all tokens of all pods are over, ours as anybody's; on one machine that
 * cannot be.
 */
export const CLOCK_FAULTS: ReadonlyArray<Fault> = [
  ...backAndForth('all clocks', '*'),
  ...backAndForth('operator’s clock', 'controller'),
  ...backAndForth('runtimeds’ clocks', 'runtimed'),
  ...backAndForth('Runtime Servers’ clocks', 'bash-runtime'),
  set('API server’s clock', 'apiserver', 'back an hour', -HOUR_MS),
  set('API server’s clock', 'apiserver', 'forward 50 minutes', 50 * MINUTE_MS),
  set('API server’s clock', 'apiserver', 'forward an hour for 5 s', HOUR_MS, 5000),
  ...backAndForth('kubelet’s clock', 'kubelet'),
];

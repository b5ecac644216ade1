/**
 * Claims about time, on a machine that may be busy. What is measured is made of processes that start, talk and end, so it
 * is compared with one of those at that moment: a bare shell, 2 ms on an idle machine and a hundred on a starved one.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { expect } from 'chai';

/** So many bare shells are as much work as what the tests measure: a Run or a pod, 100 ms on an idle machine. */
const SHELLS = 50;
/** What waits for a period or a grace does so every time; what the machine held up does not. */
const ROUNDS = 3;

const shellMs = async (): Promise<number> => {
  const began = performance.now();
  await once(spawn('/bin/sh', ['-c', ':'], { stdio: 'ignore' }), 'exit');
  return performance.now() - began;
};

/**
 * Fails unless what `act` measures, in milliseconds, is below `limitMs` and what the machine takes for such work. It is
 * tried up to three times; `act` is told which time it is, from 0.
 */
export const expectBelow = async (
  limitMs: number,
  act: (round: number) => Promise<number>,
): Promise<void> => {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS && least >= limitMs; round += 1) {
    const before = await shellMs();
    const took = await act(round);
    least = Math.min(least, took - SHELLS * Math.max(before, await shellMs()));
  }
  expect(least, 'milliseconds beyond what the machine takes for such work').to.be.below(limitMs);
};

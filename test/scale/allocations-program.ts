/**
 * A program of its own, started by allocations.test.ts with a young generation so large that nothing is collected: how
 * many bytes does one decision allocate? A decision is a whole turn of a Run: it comes, is placed, confirmed, ends.
 */
import { placing } from '../support/placing.js';

const PODS = 100;
const TURNS = 2_000;

const bytesPerDecision = (waiting: number): number => {
  const turn = placing({ waiting, pods: PODS, finished: 0 });
  for (let index = 0; index < TURNS; index += 1) turn();
  const before = process.memoryUsage().heapUsed;
  for (let index = 0; index < TURNS; index += 1) turn();
  return (process.memoryUsage().heapUsed - before) / TURNS;
};

// Once for the code's own sake: what it compiles to is on the heap, too.
bytesPerDecision(1_000);
process.stdout.write(JSON.stringify([1_000, 30_000].map(bytesPerDecision)));

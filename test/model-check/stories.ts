/** The small worlds that are explored. */
import type { Story } from './world.js';

const one = { pods: 1, capacity: 1, operators: 1 } as const;
const retried = { retryPolicy: { maxAttempts: 3, backoff: '100ms' } };

/** Small enough to be explored exhaustively. */
export const SMALL: ReadonlyArray<Story> = [
  { ...one, name: 'short', runs: [{ name: 'r', spec: retried, script: [{ runsMs: 10, exitCode: 0 }] }] },
  { ...one, name: 'long', runs: [{ name: 'r', spec: retried, script: [{ runsMs: 120, exitCode: 0 }] }] },
  {
    ...one,
    name: 'cancelled',
    runs: [{ name: 'r', script: [{ runsMs: 600_000, exitCode: 0 }], cancelAfterMs: 100 }],
  },
  {
    ...one,
    name: 'timeout',
    runs: [{ name: 'r', spec: { timeout: '300ms' }, script: [{ runsMs: 600_000, exitCode: 0 }] }],
  },
  {
    ...one,
    name: 'retried',
    runs: [
      {
        name: 'r',
        spec: retried,
        script: [
          { runsMs: 70, exitCode: 3 },
          { runsMs: 10, exitCode: 0 },
        ],
      },
    ],
  },
  {
    ...one,
    name: 'two pods',
    pods: 2,
    runs: [{ name: 'r', spec: retried, script: [{ runsMs: 70, exitCode: 0 }] }],
  },
  {
    ...one,
    name: 'standby',
    operators: 2,
    runs: [{ name: 'r', spec: retried, script: [{ runsMs: 70, exitCode: 0 }] }],
  },
];

/** Larger ones, for walks. */
export const LARGE: ReadonlyArray<Story> = [
  {
    name: 'queue',
    pods: 1,
    capacity: 1,
    operators: 1,
    runs: [
      { name: 'a', spec: retried, script: [{ runsMs: 70, exitCode: 0 }] },
      { name: 'b', script: [{ runsMs: 10, exitCode: 0 }] },
      {
        name: 'c',
        spec: retried,
        script: [
          { runsMs: 10, exitCode: 1 },
          { runsMs: 10, exitCode: 0 },
        ],
      },
    ],
  },
  {
    name: 'all',
    pods: 2,
    capacity: 2,
    operators: 2,
    runs: [
      { name: 'a', spec: retried, script: [{ runsMs: 200, exitCode: 0 }] },
      { name: 'b', script: [{ runsMs: 10, exitCode: 0 }] },
      { name: 'c', spec: retried, script: [{ runsMs: 60, exitCode: 1 }] },
      { name: 'd', script: [{ runsMs: 600_000, exitCode: 0 }], cancelAfterMs: 150 },
      { name: 'e', spec: { ...retried, timeout: '200ms' }, script: [{ runsMs: 600_000, exitCode: 0 }] },
      { name: 'f', script: [{ runsMs: 10, exitCode: 0 }] },
    ],
  },
];

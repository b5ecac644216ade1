/**
 * One round of a soak: load with faults for a while, then rest, until nothing of it is left: every Run has ended and is
 * deleted, and so are its Events, which would stay for an hour. So what a process holds after one round can be compared
 * with what it holds after another.
 *
 * Nobody is killed: memory would begin anew. What killing does is the fault matrix' business.
 */

import { events } from '../../src/model/resources.js';
import { answer } from '../e2e/attach.js';
import { FAULTS } from '../faults/faults.js';
import type { FaultyPlane } from '../faults/plane.js';
import { WATCH_HISTORY_S } from './question.js';

const STEADY_PER_SECOND = 4;
const BURST = 60;
/** The node's Lease is written every 10 s, and with each write the API server forgets what is older than it keeps. */
const QUIET_MS = (WATCH_HISTORY_S + 11) * 1_000;

const faults = FAULTS.filter(({ name }) => !/killed|deleted/.test(name));

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export type Round = Readonly<{
  runs: number;
  failures: ReadonlyArray<string>;
  faults: ReadonlyArray<string>;
}>;

const script = (random: () => number): string =>
  random() < 0.2
    ? 'for i in $(seq 200); do echo "line $i of some output"; done; echo "n=1" >> "$KRUNTIME_OUTPUTS"'
    : `sleep 0.${Math.floor(random() * 5)}; echo done`;

/** A Run that is deleted soon after its end; undefined when it went as it should, else what was wrong. */
const one = async (plane: FaultyPlane, name: string, inline: string): Promise<string | undefined> => {
  try {
    await plane.create(name, {
      source: { inline },
      retryPolicy: { maxAttempts: 5, backoff: '200ms' },
      ttlSecondsAfterFinished: 2,
    });
    const { status } = await plane.end(name, 120_000);
    await plane.whenGone(name, 60_000);
    return status?.phase === 'Succeeded'
      ? undefined
      : `${name} is ${status?.phase}: ${status?.message ?? ''}`;
  } catch (error) {
    return `${name}: ${error instanceof Error ? error.message : String(error)}`;
  }
};

/** Of Runs that are gone. */
const removeEvents = async ({ kube }: FaultyPlane): Promise<void> => {
  const { items } = await answer(kube.list(events, { namespace: 'default' }));
  for (const item of items) {
    const { name } = (item as { metadata: { name: string } }).metadata;
    await answer(kube.delete(events, { namespace: 'default', name })).catch(() => undefined);
  }
};

/** Plays one. `loadMs` is how long Runs come; names begin with `prefix`. */
export const playRound = async (
  plane: FaultyPlane,
  random: () => number,
  prefix: string,
  loadMs: number,
): Promise<Round> => {
  const beganMs = performance.now();
  const burstMs = loadMs * random();
  const runs: Promise<string | undefined>[] = [];
  const befell: string[] = [];
  const begin = (): void => {
    runs.push(one(plane, `${prefix}-${runs.length}`, script(random)));
  };
  const load = async (): Promise<void> => {
    let isBurst = false;
    for (let atMs = 0; atMs < loadMs; atMs = performance.now() - beganMs) {
      begin();
      if (!isBurst && atMs >= burstMs) {
        isBurst = true;
        for (let i = 0; i < BURST; i += 1) begin();
      }
      await sleep(1_000 / STEADY_PER_SECOND);
    }
  };
  const trouble = async (): Promise<void> => {
    for (;;) {
      await sleep(loadMs * 0.4 * (0.5 + random()));
      const fault = faults[Math.floor(random() * faults.length)];
      if (!fault || performance.now() - beganMs > loadMs) return;
      befell.push(fault.name);
      await fault.apply(plane, random);
    }
  };
  await Promise.all([load(), trouble()]);
  const failures = (await Promise.all(runs)).flatMap((failure) => failure ?? []);
  await removeEvents(plane);
  await sleep(QUIET_MS);
  return { runs: runs.length, failures, faults: befell };
};

/**
 * Expiry: which finished Runs have outlived their time to live?
 *
 * It is the Run's own ttlSecondsAfterFinished, else the operator's default, if it has one. A deletion that is refused is
 * asked for again.
 */
import type { Command } from '../model/command.js';
import type { ObjectKey } from '../model/ids.js';
import type { News } from '../model/news.js';
import { isTerminal } from '../model/run.js';
import type { RunRecord } from '../model/run-record.js';
import { toMillis } from '../model/time.js';
import type { World } from '../model/world.js';
import { deadlines } from './deadlines.js';
import type { TimedMachine } from './timed-machine.js';

/** Wait before a refused deletion is asked for again, milliseconds. */
export const REFUSED_MS = 5000;

/** When the Run is to be deleted, milliseconds since the epoch; undefined: never, or it is being deleted already. */
export const expiryMs = (run: RunRecord, defaultTtlMs?: number): number | undefined => {
  const ttlMs = run.ttlSeconds === undefined ? defaultTtlMs : run.ttlSeconds * 1000;
  return ttlMs === undefined ||
    run.deleting ||
    !isTerminal(run.status.phase) ||
    run.status.completionTime === undefined
    ? undefined
    : toMillis(run.status.completionTime) + ttlMs;
};

/** The machine behind `streams/pipelines/expiry.ts`. */
export const expiry = (world: World, defaultTtlMs?: number): TimedMachine<News, Command> => {
  const due = deadlines<ObjectKey>();
  const look = (key: ObjectKey, run: RunRecord | undefined, fromMs = 0): void => {
    const at = run && expiryMs(run, defaultTtlMs);
    if (at === undefined) due.remove(key);
    else due.set(key, Math.max(at, fromMs));
  };
  return {
    apply: (news, nowMs) => {
      if (news.kind === 'Change') {
        const { change } = news;
        if (change.kind === 'Run') look(change.key, change.after);
      } else if (news.outcome.kind === 'Failed' && news.outcome.command.kind === 'DeleteRun') {
        const { key } = news.outcome.command.run;
        look(key, world.runs.get(key), nowMs + REFUSED_MS);
      }
      return [];
    },
    dueMs: due.nextMs,
    wake: (nowMs) =>
      due.takeDue(nowMs).flatMap((key): ReadonlyArray<Command> => {
        const run = world.runs.get(key);
        return run ? [{ kind: 'DeleteRun', run }] : [];
      }),
  };
};

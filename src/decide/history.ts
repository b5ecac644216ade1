/**
 * History: which finished Runs are more than their Runtime is to keep?
 *
 * Of each Runtime the newest `limit` finished Runs stay. Those that set ttlSecondsAfterFinished are neither counted nor
 * deleted: they say themselves how long. One ordered index per Runtime: O(log n) per change, never a scan.
 */
import type { Command } from '../model/command.js';
import type { ObjectKey } from '../model/ids.js';
import type { News } from '../model/news.js';
import { isTerminal } from '../model/run.js';
import type { RunRecord } from '../model/run-record.js';
import type { World } from '../model/world.js';
import { deadlines } from './deadlines.js';
import { type OrderedMap, orderedMap } from './ordered-map.js';
import type { TimedMachine } from './timed-machine.js';

/** Wait before a refused deletion is asked for again, milliseconds. */
export const REFUSED_MS = 5000;

type Entry = Readonly<{ runtime: ObjectKey; endedAt: number; key: ObjectKey }>;

const byAge = (a: Entry, b: Entry): number =>
  a.endedAt - b.endedAt || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

/** The Run's place in the history; undefined: it has none. */
const entryOf = (run: RunRecord): Entry | undefined =>
  run.ttlSeconds !== undefined ||
  run.deleting ||
  !isTerminal(run.status.phase) ||
  run.status.completionTime === undefined
    ? undefined
    : { runtime: run.runtime, endedAt: run.status.completionTime, key: run.key };

/** The machine behind `streams/pipelines/history.ts`. */
export const history = (world: World, limit: number): TimedMachine<News, Command> => {
  const finished = new Map<ObjectKey, OrderedMap<Entry, undefined>>();
  const known = new Map<ObjectKey, Entry>();
  const refused = deadlines<ObjectKey>();

  const remove = (key: ObjectKey): void => {
    const entry = known.get(key);
    if (!entry) return;
    known.delete(key);
    const ofRuntime = finished.get(entry.runtime);
    ofRuntime?.delete(entry);
    if (ofRuntime?.size === 0) finished.delete(entry.runtime);
  };

  const look = (key: ObjectKey, run: RunRecord | undefined): ReadonlyArray<Command> => {
    const entry = run && entryOf(run);
    const before = known.get(key);
    if (entry && before && before.runtime === entry.runtime && byAge(before, entry) === 0) return [];
    remove(key);
    refused.remove(key);
    if (!entry) return [];
    known.set(key, entry);
    const ofRuntime = finished.get(entry.runtime) ?? orderedMap<Entry, undefined>(byAge);
    finished.set(entry.runtime, ofRuntime);
    ofRuntime.set(entry, undefined);
    const commands: Command[] = [];
    for (let oldest = ofRuntime.minKey(); oldest && ofRuntime.size > limit; oldest = ofRuntime.minKey()) {
      const old = world.runs.get(oldest.key);
      // Out of the history at once: a deletion that is under way is not asked for twice.
      remove(oldest.key);
      if (old) commands.push({ kind: 'DeleteRun', run: old });
    }
    return commands;
  };

  return {
    apply: (news, nowMs) => {
      if (news.kind === 'Change')
        return news.change.kind === 'Run' ? look(news.change.key, news.change.after) : [];
      const { command, kind } = news.outcome;
      if (command.kind === 'DeleteRun' && kind === 'Failed') refused.set(command.run.key, nowMs + REFUSED_MS);
      return [];
    },
    dueMs: refused.nextMs,
    wake: (nowMs) => refused.takeDue(nowMs).flatMap((key) => look(key, world.runs.get(key))),
  };
};

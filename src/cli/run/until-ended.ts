/** Waits for the end of Runs, by watching. */

import { runs } from '../../model/resources.js';
import type { Run } from '../../model/run.js';
import type { Api, Watched } from '../api/api.js';
import { Failure } from '../failure.js';
import { endOf, phaseOf, readRun } from './read-run.js';

/** A Run that has ended, also as the API holds it. */
export type Ended = Readonly<{ run: Run; object: unknown }>;

export type Progress = Readonly<{
  /** A Run as it is now; the last one is its end. */
  seen: (run: Run) => void;
  /** The server is not reachable for the moment. */
  lost: (message: string) => void;
}>;

/** Above so many names one watch over the namespace is cheaper than one per name. */
const MAX_WATCHES = 10;

/**
 * Resolves with the ended Runs in the order of `names`. Rejects with a Failure when one is not there, is deleted
 * before its end, or the cluster is lost for good. `stop` ends the waiting, and the promise stays open.
 */
export const untilEnded = (
  names: ReadonlyArray<string>,
  { api, namespace }: Readonly<{ api: Pick<Api, 'watch'>; namespace: string }>,
  progress: Progress,
): Readonly<{ ended: Promise<ReadonlyArray<Ended>>; stop: () => void }> => {
  const stops: Array<() => void> = [];
  const stop = (): void => {
    for (const end of stops.splice(0)) end();
  };
  const ended = new Promise<ReadonlyArray<Ended>>((resolve, reject) => {
    const wanted = new Set(names);
    const done = new Map<string, Ended>();
    /** The incarnation waited for: a later one of the same name is another Run. */
    const uids = new Map<string, string>();
    const fail = (failure: unknown): void => {
      stop();
      reject(failure);
    };
    const note = ({ name, uid, object }: Watched, deleted: boolean): void => {
      if (!wanted.has(name) || done.has(name) || (uids.get(name) ?? uid) !== uid) return;
      uids.set(name, uid);
      try {
        const run = readRun(object, name);
        progress.seen(run);
        if (endOf(run)) done.set(name, { run, object });
        else if (deleted)
          return void fail(
            new Failure('NotFound', `run ${namespace}/${name} was deleted while it was ${phaseOf(run)}`, {
              hint: '`krt run` creates a new one',
            }),
          );
      } catch (error) {
        fail(error);
        return;
      }
      if (done.size < wanted.size) return;
      stop();
      resolve(names.flatMap((each) => done.get(each) ?? []));
    };
    const watch = (fieldSelector: string | undefined, expected: ReadonlyArray<string>): void => {
      stops.push(
        api.watch(
          runs,
          { namespace, ...(fieldSelector === undefined ? {} : { fieldSelector }) },
          {
            seen: (item) => note(item, false),
            deleted: (item) => note(item, true),
            listed: () => {
              const missing = expected.filter((name) => !uids.has(name));
              if (missing.length > 0)
                fail(
                  new Failure(
                    'NotFound',
                    `no run ${missing.map((name) => `${namespace}/${name}`).join(', ')}`,
                    {
                      hint: '`krt list` shows the ones there are',
                    },
                  ),
                );
            },
            lost: ({ message }) => progress.lost(message),
            failed: fail,
          },
        ),
      );
    };
    if (names.length > MAX_WATCHES) watch(undefined, names);
    else for (const name of names) watch(`metadata.name=${name}`, [name]);
  });
  return { ended, stop };
};

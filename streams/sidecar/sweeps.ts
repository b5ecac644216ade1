/**
 * Sweeps: whose logs in the store are to be looked for? The parts of what the operator says put together; a newer sweep
 * takes the place of one that is under way.
 */
import { EMPTY, type Observable, type OperatorFunction, switchMap } from 'rxjs';

import type { SweepLogs } from '../../src/proto/gen/session.js';

/** All of it. */
export type Sweep = Readonly<{ store: string; installation: string; runs: ReadonlySet<string> }>;

/** Does each when its last part is there. */
export const doSweeps =
  (sweep: (sweep: Sweep) => Observable<never>): OperatorFunction<SweepLogs, never> =>
  (parts$) => {
    let runs = new Set<string>();
    let of = '';
    return parts$.pipe(
      switchMap(({ store, installation, runUids, more }) => {
        // What a session that broke off has said of another store is no part of it.
        if (of !== `${installation} ${store}`) runs = new Set();
        of = `${installation} ${store}`;
        for (const uid of runUids) runs.add(uid);
        if (more) return EMPTY;
        const all = { store, installation, runs };
        runs = new Set();
        return sweep(all);
      }),
    );
  };

/** What a soak and the programs in it say to each other, one line of JSON each. */
import * as t from 'io-ts';

/** Name of the soak's socket in the folder of the programs. */
export const SOCKET = 'soak.sock';

/** How long the API server of a soak keeps changes for watches, seconds. */
export const WATCH_HISTORY_S = 5;

/** Said once by each program. */
export const Hello = t.type({ program: t.string, pid: t.number });
export type Hello = t.TypeOf<typeof Hello>;

/** `isCollected`: after a full collection, with what is counted then. `plants`: what to hold on to from now on. */
export const Question = t.intersection([
  t.type({ id: t.number, isCollected: t.boolean }),
  t.partial({ plants: t.array(t.type({ kind: t.string, count: t.number })) }),
]);
export type Question = t.TypeOf<typeof Question>;

/** Named numbers of one process at one moment. */
export type Reading = Readonly<Record<string, number>>;

export const Answer = t.type({ id: t.number, reading: t.record(t.string, t.number) });

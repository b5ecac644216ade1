/** The form of a decision that has a memory and a sense of time. `streams/operators/fold-in-time.ts` runs it. */

/** A fold over inputs and time. `nowMs` is the clock's; deadlines are in the same milliseconds. */
export type TimedMachine<I, O> = Readonly<{
  apply: (input: I, nowMs: number) => Iterable<O>;
  /** When `wake` is wanted next, if at all. */
  dueMs?: () => number | undefined;
  wake?: (nowMs: number) => Iterable<O>;
}>;

/** The earlier of some deadlines, of which any may be absent. */
export const earliest = (...dues: ReadonlyArray<number | undefined>): number | undefined => {
  let first: number | undefined;
  for (const due of dues) if (due !== undefined && (first === undefined || due < first)) first = due;
  return first;
};

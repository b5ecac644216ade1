/** UIDs, however many, for messages of a bounded size. */

/** UIDs in a message: 400 KB of the 4 MiB that a receiver of gRPC takes by default. */
const AT_ONCE = 10_000;

/** In their order, at most so many in each part; no part of none. */
export const uidParts = <A extends string>(uids: ReadonlyArray<A>): ReadonlyArray<A[]> =>
  Array.from({ length: Math.ceil(uids.length / AT_ONCE) }, (_, index) =>
    uids.slice(index * AT_ONCE, (index + 1) * AT_ONCE),
  );

/** When is the next one begun? Closed loops (so many at a time) and open ones (arrivals that wait for nobody). */

/** Calls `one` for 0..count-1, `width` of them at a time; each lane goes on when its last has ended. */
export const closedLoop = async (
  count: number,
  width: number,
  one: (index: number) => Promise<void>,
): Promise<void> => {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await one(next - 1);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, lane));
};

/** Pseudo-random numbers in [0, 1) that are the same for the same seed, so that two benches see the same arrivals. */
export const seeded = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

/** Instants of a Poisson process, milliseconds from 0. */
export const poisson = (count: number, perSecond: number, chance: () => number): ReadonlyArray<number> => {
  let at = 0;
  return Array.from({ length: count }, () => {
    at += (-Math.log(1 - chance()) * 1_000) / perSecond;
    return at;
  });
};

/**
 * Calls `one` at its arrival, however many are still under way, and resolves when all have ended. `one` is told how
 * late it was called (the timer, a busy client), milliseconds: latency counts from the arrival that was meant.
 */
export const openLoop = async (
  arrivals: ReadonlyArray<number>,
  one: (index: number, lateMs: number) => Promise<void>,
): Promise<void> => {
  const began = performance.now();
  await Promise.all(
    arrivals.map(
      (at, index) =>
        new Promise<void>((resolve, reject) => {
          setTimeout(
            () => {
              one(index, performance.now() - began - at).then(resolve, reject);
            },
            Math.max(0, at - (performance.now() - began)),
          );
        }),
    ),
  );
};

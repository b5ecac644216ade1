/** The process does nothing else for so long, as when it is starved or stopped. */
export const standStill = (ms: number): void => {
  for (const untilMs = performance.now() + ms; performance.now() < untilMs; );
};

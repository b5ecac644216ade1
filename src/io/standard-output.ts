/** What becomes of a program whose standard output or error takes nothing any more? It goes on. */

/**
 * A full disk, or a reader that is gone, costs log records: without this the first one that is lost would end the
 * program, and with it what it serves. For programs that only log there.
 */
export const surviveLostOutput = (): void => {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
};

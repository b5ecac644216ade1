/**
 * Writes texts no faster than they are read: of a long list, or all that a watch begins with, a client that reads slowly,
 * or never, has a few of them waiting in memory, and costs nothing else.
 *
 * Caveat: the texts are made when they are due, so their source must bear being asked later.
 */
import type { ServerResponse } from 'node:http';

/** Bytes that may wait for the reader. */
const AHEAD_BYTES = 256 * 1024;
/** A reader that takes nothing for so long is cut off, milliseconds: what it is to read yet is held for it. */
const STALLED_MS = 30_000;

/** Begins to write. Returns how to stop. */
export const writePaced = (
  response: ServerResponse,
  texts: Iterator<Buffer | string>,
  stalledMs = STALLED_MS,
): (() => void) => {
  let stalled: NodeJS.Timeout | undefined;
  let isStopped = false;
  const write = (): void => {
    clearTimeout(stalled);
    while (!isStopped && !response.destroyed && !response.writableEnded) {
      if (response.writableLength > AHEAD_BYTES) {
        response.once('drain', write);
        stalled = setTimeout(() => response.destroy(), stalledMs);
        return;
      }
      const { done, value } = texts.next();
      if (done) return;
      response.write(value);
    }
  };
  write();
  return () => {
    isStopped = true;
    clearTimeout(stalled);
    response.off('drain', write);
  };
};

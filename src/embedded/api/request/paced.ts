/**
 * Writes texts no faster than they are read: of a long list, or all that a watch begins with, a client that reads slowly,
 * or never, has a few of them waiting in memory, and costs nothing else.
 *
 * Caveat: the texts are made when they are due, so their source must bear being asked later.
 */
import type { Writable } from 'node:stream';

/** Bytes that may wait for the reader. */
const AHEAD_BYTES = 256 * 1024;
/** A reader that takes nothing for so long is cut off, milliseconds: what it is to read yet is held for it. */
const STALLED_MS = 30_000;

/** Begins to write. Returns how to stop. */
export const writePaced = (
  sink: Writable,
  texts: Iterator<Buffer | string>,
  stalledMs = STALLED_MS,
): (() => void) => {
  let stalled: NodeJS.Timeout | undefined;
  let isStopped = false;
  const write = (): void => {
    clearTimeout(stalled);
    while (!isStopped && !sink.destroyed && !sink.writableEnded) {
      if (sink.writableLength > AHEAD_BYTES) {
        sink.once('drain', write);
        stalled = setTimeout(() => sink.destroy(), stalledMs);
        return;
      }
      const { done, value } = texts.next();
      if (done) return;
      sink.write(value);
    }
  };
  write();
  return () => {
    isStopped = true;
    clearTimeout(stalled);
    sink.off('drain', write);
  };
};

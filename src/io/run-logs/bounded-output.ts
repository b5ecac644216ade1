/**
 * A stream for log records that never waits and never grows: what a slow reader does not take is dropped and counted.
 *
 * On Linux node's stdout does not block when it is a pipe, but buffers without bound; this stands before it.
 */
import type { Writable } from 'node:stream';

/** Bytes that may wait for the reader of stdout. */
export const OUTPUT_BYTES = 8 * 1024 * 1024;

export type BoundedOutput = Readonly<{
  /** Takes a whole record with its newline, or drops it. */
  write: (record: string) => void;
  /** Records dropped so far. */
  dropped: () => number;
}>;

/**
 * @param onRecovered told how many were dropped once there is room again; it may write a record of that
 */
export const boundedOutput = (
  to: Writable,
  onRecovered: (dropped: number) => void,
  limit = OUTPUT_BYTES,
): BoundedOutput => {
  let dropped = 0;
  let reported = 0;
  to.on('drain', () => {
    if (dropped === reported) return;
    const since = dropped - reported;
    reported = dropped;
    onRecovered(since);
  });
  // The reader is gone (EPIPE): there is nobody left to tell.
  to.on('error', () => undefined);
  return {
    write: (record) => {
      if (to.writableLength + record.length > limit) dropped += 1;
      else to.write(record);
    },
    dropped: () => dropped,
  };
};

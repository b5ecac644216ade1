/**
 * A stream for log records that never waits and never grows: what a slow reader does not take is dropped and counted.
 *
 * On Linux node's stdout does not block when it is a pipe, but buffers without bound; this stands before it.
 */
import { Writable } from 'node:stream';

/** Bytes that may wait for the reader of stdout. */
export const OUTPUT_BYTES = 8 * 1024 * 1024;

/**
 * Takes whole records, with their newlines, and either passes them on at once or drops them.
 *
 * @param onRecovered told how many were dropped, once there is room again; it may write a record of that
 */
export const boundedOutput = (
  to: Writable,
  onRecovered: (dropped: number) => void,
  limit = OUTPUT_BYTES,
): Writable => {
  let dropped = 0;
  to.on('drain', () => {
    if (dropped === 0) return;
    const since = dropped;
    dropped = 0;
    onRecovered(since);
  });
  // The reader is gone (EPIPE): there is nobody left to tell.
  to.on('error', () => undefined);
  return new Writable({
    decodeStrings: false,
    write: (record: string | Buffer, _encoding, done) => {
      if (to.writableLength + record.length > limit) dropped += 1;
      else to.write(record);
      done();
    },
  });
};

/** Writes a text in the place of what a file holds. */
import { fstatSync, ftruncateSync, writeSync } from 'node:fs';

/**
 * Writes the text over what is there, then cuts off the rest. Not the other way round: ext4 sends a file that was
 * cut to nothing to the disk when it is closed, and who cuts it the next time waits until it is there (its option
 * auto_da_alloc; here a millisecond per Run, docs/performance.md).
 *
 * @param size of the file, bytes, where it is known
 */
export const replaceText = (fd: number, text: string, size = fstatSync(fd).size): void => {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, at);
  if (size > bytes.length) ftruncateSync(fd, bytes.length);
};

/** Folders on disks of their own, which can be filled: tmpfs, which takes root on Linux. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export type SmallDisk = Readonly<{
  /** Not a byte more fits on it, until something else is removed. */
  fill: () => void;
  /** As before. */
  free: () => void;
  unmount: () => void;
}>;

const BALLAST = '.ballast';
const PIECE = Buffer.alloc(1024 * 1024);

/** Mounts one at a folder, which is made. A text says why that cannot be. */
export const mountSmallDisk = (folder: string, megabytes: number): SmallDisk | string => {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { status, stderr, error } = spawnSync('mount', [
    '-t',
    'tmpfs',
    '-o',
    `size=${megabytes}m,mode=0700`,
    'krt-small-disk',
    folder,
  ]);
  if (status !== 0) return `no disk can be mounted here: ${error?.message ?? stderr.toString().trim()}`;
  const ballast = join(folder, BALLAST);
  return {
    fill: () => {
      const fd = openSync(ballast, 'a', 0o600);
      try {
        // Ever smaller pieces: what is left over would be room for a record.
        for (let size = PIECE.length; size >= 1; )
          try {
            if (writeSync(fd, PIECE, 0, size) < size) throw new Error('it is full');
          } catch {
            size = Math.floor(size / 2);
          }
      } finally {
        closeSync(fd);
      }
    },
    free: () => rmSync(ballast, { force: true }),
    // Lazily: a process that is just ending may still have a file open.
    unmount: () => void spawnSync('umount', ['-l', folder]),
  };
};

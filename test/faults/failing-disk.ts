/**
 * Folders on file systems of their own that turn read-only under those who have files open there, as ext4 does where its
 * disk fails: in an image on a loop device, which takes root on Linux. A mount cannot be made so as long as files are open.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export type FailingDisk = Readonly<{
  /** From now on nothing can be written. */
  fail: () => void;
  /** Checked and mounted again, as soon as nobody has a file open on it any more; rejects after 10 s. Until then read-only. */
  mend: () => Promise<void>;
  unmount: () => void;
}>;

const MEND_MS = 10_000;

const run = (program: string, ...args: ReadonlyArray<string>): string | undefined => {
  const { status, stderr, error } = spawnSync(program, args);
  return status === 0 ? undefined : `${program}: ${error?.message ?? stderr.toString().trim()}`;
};

/** Mounts one at a folder, which is made. A text says why that cannot be. */
export const mountFailingDisk = (folder: string, megabytes: number): FailingDisk | string => {
  const apart = mkdtempSync(join(tmpdir(), 'krt-disk-'));
  const image = join(apart, 'image');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const fd = openSync(image, 'w', 0o600);
  ftruncateSync(fd, megabytes * 1024 * 1024);
  closeSync(fd);
  // Below it, for while it is not there: what was written to the folder itself would be lost under it.
  const below = run('mount', '-t', 'tmpfs', '-o', 'ro,mode=0700', 'krt-no-disk', folder);
  if (below !== undefined) {
    rmSync(apart, { recursive: true });
    return `no disk can be made here: ${below}`;
  }
  const mount = (): string | undefined =>
    run('mount', '-o', 'loop,errors=remount-ro', image, folder) ?? run('chmod', '0700', folder);
  const why = run('mkfs.ext4', '-q', '-F', image) ?? mount();
  if (why !== undefined) {
    run('umount', folder);
    rmSync(apart, { recursive: true });
    return `no disk can be made here: ${why}`;
  }
  rmSync(`${folder}/lost+found`, { recursive: true });
  /** What the kernel has of it for as long as anybody has it mounted, in whichever namespace. */
  const inKernel = (): string => {
    const device = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .map((each) => each.split(' '))
      .findLast(([, at]) => at === folder)?.[0];
    return `/sys/fs/ext4/${basename(device ?? '')}`;
  };
  return {
    fail: () => writeFileSync(join(inKernel(), 'trigger_fs_error'), '1'),
    mend: async () => {
      const untilMs = Date.now() + MEND_MS;
      const superblock = inKernel();
      for (let busy = run('umount', folder); busy !== undefined; busy = run('umount', folder)) {
        if (Date.now() > untilMs) throw new Error(busy);
        await sleep(10);
      }
      // A namespace made meanwhile, whosever it is, has a copy of the mount: it would be found again, read-only as it is.
      while (existsSync(superblock)) {
        if (Date.now() > untilMs) throw new Error(`somebody still has the disk of ${folder} mounted`);
        await sleep(10);
      }
      // 1: it has mended something.
      spawnSync('e2fsck', ['-p', image]);
      const still = mount();
      if (still !== undefined) throw new Error(still);
    },
    unmount: () => {
      // Lazily: a process that is just ending may still have a file open.
      for (const _ of ['disk', 'what is below']) run('umount', '-l', folder);
      rmSync(apart, { recursive: true });
    },
  };
};

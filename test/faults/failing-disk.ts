/**
 * Folders on file systems of their own that turn read-only under those who have files open there, as ext4 does where its
 * disk fails: in an image on a loop device, which takes root on Linux. A mount cannot be made so as long as files are open.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
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
  /** Checked and mounted again, as soon as nobody has a file open on it any more; rejects after 10 s. */
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
  const mount = (): string | undefined =>
    run('mount', '-o', 'loop,errors=remount-ro', image, folder) ?? run('chmod', '0700', folder);
  const why = run('mkfs.ext4', '-q', '-F', image) ?? mount();
  if (why !== undefined) {
    rmSync(apart, { recursive: true });
    return `no disk can be made here: ${why}`;
  }
  rmSync(`${folder}/lost+found`, { recursive: true });
  return {
    fail: () => {
      const line = readFileSync('/proc/mounts', 'utf8')
        .split('\n')
        .map((each) => each.split(' '))
        .find(([, at]) => at === folder);
      writeFileSync(`/sys/fs/ext4/${basename(line?.[0] ?? '')}/trigger_fs_error`, '1');
    },
    mend: async () => {
      const untilMs = Date.now() + MEND_MS;
      for (let busy = run('umount', folder); busy !== undefined; busy = run('umount', folder)) {
        if (Date.now() > untilMs) throw new Error(busy);
        await sleep(10);
      }
      // 1: it has mended something.
      spawnSync('e2fsck', ['-p', image]);
      const still = mount();
      if (still !== undefined) throw new Error(still);
    },
    unmount: () => {
      // Lazily: a process that is just ending may still have a file open.
      run('umount', '-l', folder);
      rmSync(apart, { recursive: true });
    },
  };
};

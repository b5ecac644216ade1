/** The life line to the process that started us: when it goes, we go. */
import { Socket } from 'node:net';

/**
 * Calls `onGone` once when the pipe whose file descriptor is in `KRUNTIME_PARENT_FD` closes, that is when the parent
 * process is gone, however it ended. Without the variable it does nothing, so a program started by hand lives on.
 * The pipe does not keep the process alive by itself.
 */
export const endWithParent = (onGone: () => void, env: NodeJS.ProcessEnv = process.env): void => {
  const fd = Number(env.KRUNTIME_PARENT_FD);
  if (!env.KRUNTIME_PARENT_FD || !Number.isInteger(fd) || fd < 3) return;
  const pipe = new Socket({ fd, readable: true, writable: false });
  let gone = false;
  const end = (): void => {
    if (gone) return;
    gone = true;
    pipe.destroy();
    onGone();
  };
  pipe.on('end', end).on('close', end).on('error', end).resume().unref();
};

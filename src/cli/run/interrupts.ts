/** Ctrl-C from the moment a Run is being created: one that comes before the Run is there is kept until it is. */
import { Failure } from '../failure.js';
import type { Krt } from '../krt.js';

/** Exit code of leaving by Ctrl-C, as shells have it. */
export const INTERRUPTED = 130;

export type HeldInterrupts = Readonly<{
  /** As Krt's, but first gives the listener what came before it. */
  onInterrupt: Krt['onInterrupt'];
  /** Rejects at a second Ctrl-C that nobody has listened to yet. */
  impatient: Promise<never>;
}>;

/** Takes Ctrl-C from now on. */
export const holdInterrupts = (onInterrupt: Krt['onInterrupt']): HeldInterrupts => {
  let held = 0;
  let listener: (() => void) | undefined;
  let leave: (failure: Failure) => void = () => undefined;
  const impatient = new Promise<never>((_, reject) => {
    leave = reject;
  });
  impatient.catch(() => undefined);
  const off = onInterrupt(() => {
    if (listener) listener();
    else {
      held += 1;
      if (held > 1) leave(new Failure('Ended', '', { exitCode: INTERRUPTED }));
    }
  });
  return {
    impatient,
    onInterrupt: (next) => {
      listener = next;
      for (; held > 0; held -= 1) next();
      return off;
    },
  };
};

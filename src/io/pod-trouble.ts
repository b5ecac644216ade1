/**
 * Which failures of a system call say nothing about what was asked for, but that the pod is in trouble: it has no
 * descriptor or memory left, or its disk fails? They are waited out, for a while.
 */
import { setTimeout as pause } from 'node:timers/promises';

import { type Backoff, backoffMs } from '../decide/backoff.js';
import { errorCode } from './error-code.js';

const TROUBLES: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EIO', 'ESTALE']);
const BACKOFF: Backoff = { firstMs: 100, longestMs: 5_000 };
/** How long it is tried, milliseconds. */
const PATIENCE_MS = 60_000;

/** Whether this failure is the pod's. */
export const isPodTrouble = (cause: unknown): boolean => TROUBLES.has(errorCode(cause));

/** Calls until it does not fail for a trouble of the pod's; throws its last failure when that takes too long. */
export const throughTrouble = async <A>(
  call: () => A | Promise<A>,
  patienceMs: number = PATIENCE_MS,
): Promise<A> => {
  const untilMs = performance.now() + patienceMs;
  for (let tries = 0; ; tries += 1) {
    try {
      return await call();
    } catch (cause) {
      const ms = backoffMs(tries, Math.random(), BACKOFF);
      if (!isPodTrouble(cause) || performance.now() + ms > untilMs) throw cause;
      await pause(ms);
    }
  }
};

/** Retry policy of effects: what failed, how often, and when again? Pure. */
import { type Backoff, backoffMs } from '../../src/decide/backoff.js';
import type { Command } from '../../src/model/command.js';
import { type EffectError, isRetryable } from '../../src/model/effect-error.js';

/** An API server that returns is noticed as soon as the longest wait is over, at the latest. */
const BACKOFF: Backoff = { firstMs: 50, longestMs: 3000 };
/** Tries of a command that nothing depends on. */
const BACKGROUND_TRIES = 3;

/**
 * Milliseconds until the next try, or undefined to give up. A durable decision is tried until it goes through or is
 * refused: everything waits for the API server, nothing is dropped.
 *
 * @param tries how often it was tried, at least 1
 * @param chance uniform in [0, 1)
 */
export const retryAfterMs = (
  command: Command,
  error: EffectError,
  tries: number,
  chance: number,
): number | undefined => {
  if (!isRetryable(error)) return undefined;
  if (command.kind === 'RecordEvent' && tries >= BACKGROUND_TRIES) return undefined;
  return Math.max(backoffMs(tries - 1, chance, BACKOFF), error.retryAfterMs ?? 0);
};

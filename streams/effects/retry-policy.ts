/** Retry policy of effects: what failed, how often, and when again? Pure. */
import type { Command } from '../../src/model/command.js';
import { type EffectError, isRetryable } from '../../src/model/effect-error.js';

/** First wait, doubled for each further try. */
const FIRST_MS = 50;
/** Longest wait: an API server that returns is noticed this soon at the latest. */
const LONGEST_MS = 3000;
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
  const waitMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(tries - 1, 10)) * (0.75 + chance / 2);
  return Math.max(waitMs, error.retryAfterMs ?? 0);
};

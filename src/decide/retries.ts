/** Retries: may this failure be tried again, and when? */
import type { FailureReason, RetryPolicy } from '../model/run.js';

/** Longest delay before a retry, milliseconds (contract: api.md, retryPolicy). */
export const MAX_BACKOFF_MS = 60_000;
/** Share of the delay that chance may add. */
export const MAX_JITTER = 0.1;

/** No next attempt is farther off than this, milliseconds: the longest delay, and clocks that differ by a minute. */
export const FARTHEST_RETRY_MS = MAX_BACKOFF_MS * (1 + MAX_JITTER) + 60_000;

const RETRYABLE: ReadonlySet<FailureReason> = new Set<FailureReason>([
  'Timeout',
  'PrepareSource',
  'RuntimeExecute',
  'RuntimeError',
  'ExecutionLost',
  'PodGone',
  'PodTerminating',
  'PodUnhealthy',
]);

/** Whether attempt number `attempt` (1-based), ended by `reason`, is to be followed by another. */
export const isRetried = (policy: RetryPolicy, reason: FailureReason, attempt: number): boolean =>
  attempt < policy.maxAttempts &&
  RETRYABLE.has(reason) &&
  (policy.reasons.length === 0 || policy.reasons.includes(reason));

/**
 * Milliseconds from the end of attempt `attempt` to the start of the next: the backoff doubled per retry, at most
 * 60 s, plus up to a tenth of itself so that Runs which failed together do not return together.
 *
 * @param chance uniform in [0, 1)
 */
export const retryDelayMs = (policy: RetryPolicy, attempt: number, chance: number): number =>
  Math.min(MAX_BACKOFF_MS, policy.backoffMs * 2 ** Math.min(attempt - 1, 30)) * (1 + MAX_JITTER * chance);

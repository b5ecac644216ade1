/**
 * May this assignment begin here? The pod is the last authority over its own capacity (design decision 8).
 *
 * Counted are the attempts that may have a process. One whose processes are gone and whose end is being written takes
 * no room: whoever assigns to its place has seen that write, which may be before its answer reaches us.
 */
import type { Amounts } from '../../model/run.js';

/**
 * Why not; the words of the session protocol. Unfit: the pod can make no workspaces. PodTerminating: it may have begun
 * here, and the pod ends.
 */
export type Refusal = Readonly<{
  reason: 'AtCapacity' | 'Draining' | 'Stale' | 'Unfit' | 'PodTerminating';
  message: string;
}>;

/** Resources that `more` would take beyond `capacity`, as text; '' when all fits. A name without capacity has none. */
const shortages = (capacity: Amounts, used: Amounts, more: Amounts): string =>
  Object.entries(more)
    .filter(([name, amount]) => amount > 0 && (used[name] ?? 0) + amount > (capacity[name] ?? 0))
    .map(
      ([name, amount]) =>
        `${used[name] ?? 0} of ${capacity[name] ?? 0} ${name} taken, ${amount} more asked for`,
    )
    .join('; ');

/** The refusal, or undefined when there is room. */
export const refusal = (
  pod: Readonly<{ capacity: Amounts; used: Amounts; draining: boolean }>,
  requests: Amounts,
): Refusal | undefined => {
  if (pod.draining) return { reason: 'Draining', message: 'the pod takes no more Runs, it is draining' };
  const short = shortages(pod.capacity, pod.used, requests);
  return short === '' ? undefined : { reason: 'AtCapacity', message: short };
};

/** `used` with `amounts` put on top (`sign` 1) or taken off (-1). */
export const withAmounts = (used: Amounts, amounts: Amounts, sign: 1 | -1): Amounts => ({
  ...used,
  ...Object.fromEntries(
    Object.entries(amounts).map(([name, amount]) => [name, Math.max(0, (used[name] ?? 0) + sign * amount)]),
  ),
});

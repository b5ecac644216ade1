/** Conditions: setting one keeps its transition time while its status stays. */
import type { Condition } from './metadata.js';
import { formatSeconds, type Micros } from './time.js';

/** What a writer says of one condition. */
export type ConditionClaim = Readonly<{
  type: string;
  status: Condition['status'];
  /** PascalCase word. */
  reason: string;
  message: string;
}>;

/** The conditions with `claim` set; the very same array when nothing changes. */
export const withCondition = (
  conditions: ReadonlyArray<Condition>,
  claim: ConditionClaim,
  at: Micros,
  observedGeneration?: number,
): ReadonlyArray<Condition> => {
  const old = conditions.find(({ type }) => type === claim.type);
  const generation = observedGeneration === undefined ? {} : { observedGeneration };
  if (
    old &&
    old.status === claim.status &&
    old.reason === claim.reason &&
    old.message === claim.message &&
    old.observedGeneration === observedGeneration
  )
    return conditions;
  const lastTransitionTime =
    old?.status === claim.status && old.lastTransitionTime ? old.lastTransitionTime : formatSeconds(at);
  const next: Condition = { ...claim, lastTransitionTime, ...generation };
  return old ? conditions.map((c) => (c.type === claim.type ? next : c)) : [...conditions, next];
};

/** The condition of that type. */
export const conditionOf = (
  conditions: ReadonlyArray<Condition> | undefined,
  type: string,
): Condition | undefined => conditions?.find((c) => c.type === type);

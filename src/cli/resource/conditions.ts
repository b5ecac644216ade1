/** Conditions, for people. */
import type { Condition } from '../../model/metadata.js';
import { formatAge } from '../output/age.js';
import { section } from '../output/sections.js';

export const conditionsSection = (conditions: ReadonlyArray<Condition> | undefined, nowMs: number): string =>
  section(
    'Conditions',
    ['TYPE', 'STATUS', 'REASON', 'AGE', 'MESSAGE'],
    (conditions ?? []).map(({ type, status, reason, lastTransitionTime, message }) => [
      type,
      status,
      reason,
      lastTransitionTime && formatAge(nowMs - Date.parse(lastTransitionTime)),
      message || '-',
    ]),
  );

/**
 * From two statuses of a Run to the smallest patch between them. A status write never carries what did not change.
 */
import { isDeepStrictEqual } from 'node:util';

import type { JsonPatchOperation } from '../ports.js';
import { RunStatus } from './run.js';

/** Fields of the wire form that differ: the new value, or undefined where the field is gone. */
const differences = (before: RunStatus, after: RunStatus): ReadonlyArray<readonly [string, unknown]> => {
  const [a, b]: ReadonlyArray<Record<string, unknown>> = [RunStatus.encode(before), RunStatus.encode(after)];
  return [...new Set([...Object.keys(a ?? {}), ...Object.keys(b ?? {})])]
    .filter((field) => !isDeepStrictEqual(a?.[field], b?.[field]))
    .map((field) => [field, b?.[field]] as const);
};

/**
 * A merge patch for the status subresource, refused with 409 unless the Run is still at `resourceVersion`;
 * undefined when nothing changed.
 */
export const statusMergePatch = (
  resourceVersion: string,
  before: RunStatus,
  after: RunStatus,
): unknown | undefined => {
  const changed = differences(before, after);
  return changed.length === 0
    ? undefined
    : {
        metadata: { resourceVersion },
        status: Object.fromEntries(changed.map(([field, value]) => [field, value ?? null])),
      };
};

/** What a write of runtimed insists on: the assignment it was given, and the phase it last knew. */
export type Fence = Readonly<{ assignedPodUID: string; attempt: number; phase: 'Scheduled' | 'Running' }>;

/**
 * A JSON patch for the status subresource, refused with 422 unless the fence holds. It needs no resource version, so
 * other writers (labels, cancelRequested) do not make it fail.
 */
export const fencedStatusPatch = (
  fence: Fence,
  before: RunStatus,
  after: RunStatus,
): ReadonlyArray<JsonPatchOperation> => [
  { op: 'test', path: '/status/assignedPodUID', value: fence.assignedPodUID },
  { op: 'test', path: '/status/attempt', value: fence.attempt },
  { op: 'test', path: '/status/phase', value: fence.phase },
  ...differences(before, after).map(
    ([field, value]): JsonPatchOperation =>
      value === undefined
        ? { op: 'remove', path: `/status/${field}` }
        : { op: 'add', path: `/status/${field}`, value },
  ),
];

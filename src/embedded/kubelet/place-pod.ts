/** Does a Pod without a node go to ours? Pure; what a scheduler with one node has to decide. */
import type { Pod } from './pod.js';

export type Placement =
  | Readonly<{ kind: 'Bind' }>
  | Readonly<{ kind: 'Wait'; reason: 'Unschedulable' | 'SchedulingGated'; message: string }>
  /** Not ours to place: it has ended, is being deleted, or asks for another scheduler. */
  | Readonly<{ kind: 'Leave' }>;

export const placePod = (pod: Pod, nodeLabels: Readonly<Record<string, string>>): Placement => {
  const { schedulerName, schedulingGates, nodeSelector } = pod.spec;
  if (pod.metadata.deletionTimestamp !== undefined) return { kind: 'Leave' };
  if (pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded') return { kind: 'Leave' };
  if (schedulerName !== undefined && schedulerName !== '' && schedulerName !== 'default-scheduler')
    return { kind: 'Leave' };
  if (schedulingGates !== undefined && schedulingGates.length > 0)
    return {
      kind: 'Wait',
      reason: 'SchedulingGated',
      message: `Scheduling is blocked due to non-empty scheduling gates: ${schedulingGates.map(({ name }) => name).join(', ')}`,
    };
  const missing = Object.entries(nodeSelector ?? {}).find(([key, value]) => nodeLabels[key] !== value);
  if (missing !== undefined)
    return {
      kind: 'Wait',
      reason: 'Unschedulable',
      message: `0/1 nodes are available: the only node of this local control plane does not have the label ${missing.join('=')} that nodeSelector asks for`,
    };
  return { kind: 'Bind' };
};

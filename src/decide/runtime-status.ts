/**
 * Status of Runtimes: what should each say of its pods and of what they hold?
 *
 * Pods and readiness are written `SETTLE_MS` after they change; what is allocated, which changes with every Run, at
 * most once in `ALLOCATED_MS`. Nothing is written that changes nothing.
 */
import { isDeepStrictEqual } from 'node:util';

import type { Command } from '../model/command.js';
import { withCondition } from '../model/conditions.js';
import type { ObjectKey } from '../model/ids.js';
import type { Condition } from '../model/metadata.js';
import { RUNTIME_CONTAINER, RUNTIME_KEY } from '../model/names.js';
import type { News } from '../model/news.js';
import type { PodRecord } from '../model/pod.js';
import type { Amounts } from '../model/run.js';
import type { RuntimeStatus } from '../model/runtime.js';
import type { RuntimeRecord } from '../model/runtime-record.js';
import { type Micros, micros } from '../model/time.js';
import type { World, WorldChange } from '../model/world.js';
import { deadlines } from './deadlines.js';
import { phaseOf } from './lifecycle.js';
import { isServing } from './serving.js';
import { earliest, type TimedMachine } from './timed-machine.js';

/** How long changes of pods are gathered, milliseconds. */
export const SETTLE_MS = 20;
/** And so much longer per pod wanted, milliseconds: each look is at all of them, and must not be most of the work. */
const SETTLE_PER_POD_MS = 0.1;
/** Least time between two writes for the sake of what is allocated, milliseconds. */
export const ALLOCATED_MS = 1000;

const sum = (amounts: Iterable<Amounts>): Record<string, number> => {
  const total: Record<string, number> = {};
  for (const one of amounts)
    for (const [resource, amount] of Object.entries(one)) total[resource] = (total[resource] ?? 0) + amount;
  return total;
};

type Claim = Readonly<{ status: Condition['status']; reason: string; message: string }>;

const readyClaim = (
  runtime: RuntimeRecord,
  pods: ReadonlyArray<PodRecord>,
  ready: number,
  failure: string | undefined,
): Claim => {
  const wanted = runtime.replicas;
  if (runtime.spec.template.spec.containers[0]?.name !== RUNTIME_CONTAINER)
    return {
      status: 'False',
      reason: 'InvalidTemplate',
      message: 'the first container of spec.template must be named runtime',
    };
  if (ready >= wanted)
    return { status: 'True', reason: 'AllPodsReady', message: `${ready} of ${wanted} pods are ready` };
  const counted = `${ready} of ${wanted} pods are ready`;
  if (failure !== undefined)
    return { status: 'False', reason: 'PodCreationFailed', message: `${counted}; ${failure}` };
  const troubled = pods.find((pod) => pod.trouble !== undefined);
  if (troubled?.trouble)
    return {
      status: 'False',
      reason: troubled.trouble.reason,
      message: `${counted}; pod ${troubled.name}: ${troubled.trouble.message}`,
    };
  return { status: 'False', reason: 'PodsStarting', message: counted };
};

const progressClaim = (
  runtime: RuntimeRecord,
  revision: string,
  pods: ReadonlyArray<PodRecord>,
  isReady: (pod: PodRecord) => boolean,
): Claim => {
  const leaving = pods.filter(
    (pod) => pod.terminating || pod.cordonedSince !== undefined || pod.revision !== revision,
  ).length;
  const fresh = pods.filter(
    (pod) => !pod.terminating && pod.cordonedSince === undefined && pod.revision === revision,
  );
  const ready = fresh.filter(isReady).length;
  if (leaving > 0)
    return {
      status: 'True',
      reason: 'RollingOut',
      message: `${ready} of ${runtime.replicas} pods are new and ready, ${leaving} are leaving`,
    };
  return ready >= runtime.replicas
    ? { status: 'False', reason: 'Complete', message: 'all pods are as wanted' }
    : { status: 'True', reason: 'PodsStarting', message: `${ready} of ${runtime.replicas} pods are ready` };
};

/** The status that a Runtime should have now. */
export const statusOf = (
  world: World,
  runtime: RuntimeRecord,
  revision: string,
  failure: string | undefined,
  at: Micros,
): RuntimeStatus => {
  const pods = world.podsOf(runtime.key).filter((pod) => pod.ownerUid === runtime.uid);
  const isReady = (pod: PodRecord): boolean => isServing(world, pod);
  const staying = pods.filter((pod) => !pod.terminating && !pod.finished && pod.cordonedSince === undefined);
  const ready = staying.filter(isReady);
  const capacity = sum(ready.map((pod) => pod.capacity));
  const allocated = {
    ...Object.fromEntries(Object.keys(capacity).map((resource) => [resource, 0])),
    ...sum(ready.map((pod) => world.loadOf(pod.uid).amounts)),
  };
  const claims = {
    Ready: readyClaim(runtime, staying, ready.length, failure),
    Progressing: progressClaim(runtime, revision, pods, isReady),
  };
  return {
    replicas: staying.length,
    readyReplicas: ready.length,
    capacity,
    allocated,
    busy: `${allocated.runs ?? 0}/${capacity.runs ?? 0}`,
    selector: `${RUNTIME_KEY}=${runtime.name}`,
    observedGeneration: runtime.generation,
    conditions: [
      ...Object.entries(claims).reduce<ReadonlyArray<Condition>>(
        (all, [type, claim]) => withCondition(all, { type, ...claim }, at, runtime.generation),
        runtime.status.conditions ?? [],
      ),
    ],
  };
};

const isAssigned = (run: Readonly<{ status: Parameters<typeof phaseOf>[0] }> | undefined): boolean => {
  const phase = run && phaseOf(run.status);
  return phase === 'Scheduled' || phase === 'Running';
};

/** The machine behind `streams/pipelines/runtime-status.ts`. */
export const runtimeStatus = (
  world: World,
  revisionOf: (runtime: RuntimeRecord) => string,
): TimedMachine<News, Command> => {
  const soon = deadlines<ObjectKey>();
  const later = deadlines<ObjectKey>();
  const failures = new Map<ObjectKey, string>();

  const lookSoon = (key: ObjectKey | undefined, nowMs: number): void => {
    if (key === undefined || soon.get(key) !== undefined) return;
    const wanted = world.runtimes.get(key)?.replicas ?? 0;
    soon.set(key, nowMs + SETTLE_MS + Math.floor(wanted * SETTLE_PER_POD_MS));
  };

  const onChange = (change: WorldChange, nowMs: number): void => {
    switch (change.kind) {
      case 'Runtime':
        if (!change.after) {
          soon.remove(change.key);
          later.remove(change.key);
          failures.delete(change.key);
        } else if (change.before?.generation !== change.after.generation) lookSoon(change.key, nowMs);
        return;
      case 'Pod':
        return lookSoon((change.after ?? change.before)?.runtime, nowMs);
      case 'Session':
        return lookSoon(world.podByUid(change.key)?.runtime, nowMs);
      case 'Run': {
        const run = change.after ?? change.before;
        if (
          run &&
          isAssigned(change.before) !== isAssigned(change.after) &&
          later.get(run.runtime) === undefined
        )
          later.set(run.runtime, nowMs + ALLOCATED_MS);
        return;
      }
      case 'Refused':
      case 'ArtifactsRemoved':
        return;
      default:
        return change satisfies never;
    }
  };

  const write = (key: ObjectKey, nowMs: number): ReadonlyArray<Command> => {
    soon.remove(key);
    later.remove(key);
    const runtime = world.runtimes.get(key);
    if (!runtime || runtime.deleting) return [];
    const status = statusOf(world, runtime, revisionOf(runtime), failures.get(key), micros(nowMs * 1000));
    return isDeepStrictEqual(status, runtime.status) ? [] : [{ kind: 'PatchRuntimeStatus', runtime, status }];
  };

  return {
    apply: (input, nowMs) => {
      if (input.kind === 'Change') onChange(input.change, nowMs);
      else {
        const { command } = input.outcome;
        if (command.kind === 'CreatePod') {
          if (input.outcome.kind === 'Failed') failures.set(command.runtime.key, input.outcome.error.message);
          else failures.delete(command.runtime.key);
          lookSoon(command.runtime.key, nowMs);
        }
        // A refused write was decided on an old version: the cache has or will get the newer one.
        if (command.kind === 'PatchRuntimeStatus' && input.outcome.kind === 'Failed')
          later.set(command.runtime.key, nowMs + ALLOCATED_MS);
      }
      return [];
    },
    dueMs: () => earliest(soon.nextMs(), later.nextMs()),
    wake: (nowMs) =>
      [...new Set([...soon.takeDue(nowMs), ...later.takeDue(nowMs)])].flatMap((key) => write(key, nowMs)),
  };
};

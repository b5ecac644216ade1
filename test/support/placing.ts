/** A cluster that is always full, to measure decisions by: a Run ends, the next that waits is placed, another comes. */
import { schedule } from '../../src/decide/schedule.js';
import type { Command } from '../../src/model/command.js';
import type { PodRecord } from '../../src/model/pod.js';
import type { RunRecord } from '../../src/model/run-record.js';
import { type WorldInput, worldStore } from '../../streams/cache/world.js';
import { aPod, aRun, aRuntime, aSession, at, scheduledOn } from './builders.js';

/** Runs that wait, pods for one Run each, and Runs that have ended. */
export type Size = Readonly<{ waiting: number; pods: number; finished: number }>;

/** Decisions taken before the list of commands is cut. */
const CUT = 4_096;

/** Makes it; each call of what it returns is one decision, a whole turn of a Run: it is placed, confirmed, ends, another comes. */
export const placing = ({ waiting, pods, finished }: Size): (() => void) => {
  const { world, put } = worldStore();
  const machine = schedule(world);
  const todo: Command[] = [];
  let version = 0;
  const take = (input: WorldInput): void => {
    const change = put(input);
    if (change !== undefined) todo.push(...machine.apply({ kind: 'Change', change }, 0));
  };
  const see = (run: RunRecord): void => {
    version += 1;
    take({ kind: 'Run', key: run.key, object: { ...run, resourceVersion: String(version) } });
  };
  const there = new Map<string, PodRecord>();
  take({ kind: 'Runtime', key: aRuntime().key, object: aRuntime() });
  for (let index = 0; index < pods; index += 1) {
    const pod = aPod(`pod-${index}`, { capacity: { runs: 1 } });
    there.set(pod.uid, pod);
    take({ kind: 'Pod', key: pod.key, object: pod });
    take({ kind: 'Session', event: { kind: 'Opened', session: aSession(pod) } });
  }
  for (let index = 0; index < finished; index += 1)
    see(aRun(`old-${index}`, { status: { phase: 'Succeeded', completionTime: at(index) } }));
  let next = 0;
  const come = (): void => {
    // Names of one length, so that each costs the same.
    see(aRun(`run-${String(next).padStart(8, '0')}`, { createdAt: at(next) }));
    next += 1;
  };
  for (let index = 0; index < pods + waiting; index += 1) come();
  let head = 0;
  return () => {
    const command = todo[head];
    head += 1;
    if (command?.kind !== 'AdvanceRun' || command.step.kind !== 'Assigned')
      throw new Error('the queue has run dry');
    const pod = there.get(command.step.podUid);
    if (pod === undefined) throw new Error('a pod that is none');
    todo.push(...machine.apply({ kind: 'Outcome', outcome: { kind: 'Done', command } }, 0));
    const { run } = command;
    see({ ...run, status: scheduledOn(pod) });
    see({ ...run, status: scheduledOn(pod, { phase: 'Succeeded' }) });
    come();
    if (head > CUT) todo.splice(0, head);
    if (head > CUT) head = 0;
  };
};

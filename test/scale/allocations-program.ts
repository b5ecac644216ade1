/**
 * A program of its own, started by allocations.test.ts with a young generation so large that nothing is collected: how
 * many bytes does one decision allocate? A decision is a whole turn of a Run: it comes, is placed, confirmed, ends.
 */
import { schedule } from '../../src/decide/schedule.js';
import type { Command } from '../../src/model/command.js';
import type { PodRecord } from '../../src/model/pod.js';
import type { RunRecord } from '../../src/model/run-record.js';
import { type WorldInput, worldStore } from '../../streams/cache/world.js';
import { aPod, aRun, aRuntime, aSession, at, scheduledOn } from '../support/builders.js';

const PODS = 100;
const TURNS = 2_000;

const bytesPerDecision = (waiting: number): number => {
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
  for (let index = 0; index < PODS; index += 1) {
    const pod = aPod(`pod-${index}`, { capacity: { runs: 1 } });
    there.set(pod.uid, pod);
    take({ kind: 'Pod', key: pod.key, object: pod });
    take({ kind: 'Session', event: { kind: 'Opened', session: aSession(pod) } });
  }
  let next = 0;
  const come = (): void => {
    see(aRun(`run-${String(next).padStart(8, '0')}`, { createdAt: at(next) }));
    next += 1;
  };
  for (let index = 0; index < PODS + waiting; index += 1) come();
  const turn = (): void => {
    const command = todo.shift();
    if (command?.kind !== 'AdvanceRun' || command.step.kind !== 'Assigned') throw new Error('none is placed');
    const pod = there.get(command.step.podUid);
    if (pod === undefined) throw new Error('a pod that is none');
    todo.push(...machine.apply({ kind: 'Outcome', outcome: { kind: 'Done', command } }, 0));
    see({ ...command.run, status: scheduledOn(pod) });
    see({ ...command.run, status: scheduledOn(pod, { phase: 'Succeeded' }) });
    come();
  };
  for (let index = 0; index < TURNS; index += 1) turn();
  const before = process.memoryUsage().heapUsed;
  for (let index = 0; index < TURNS; index += 1) turn();
  return (process.memoryUsage().heapUsed - before) / TURNS;
};

// Once for the code's own sake: what it compiles to is on the heap, too.
bytesPerDecision(1_000);
process.stdout.write(JSON.stringify([1_000, 30_000].map(bytesPerDecision)));

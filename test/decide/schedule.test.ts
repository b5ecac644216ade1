/**
 * Scheduling. Over generated histories of a small cluster, with commands enacted late or refused (invariants):
 * - no pod ever holds more than its capacity, assignments that are still being written included;
 * - a Run is never being assigned to two pods at once;
 * - in the end, with all pods there, every Run has been placed: none is forgotten in any corner.
 */
import { expect } from 'chai';
import fc from 'fast-check';

import { EXPLAIN_AFTER_MS, REFUSED_MS, STALE_MS, schedule } from '../../src/decide/schedule.js';
import type { Command } from '../../src/model/command.js';
import type { News } from '../../src/model/news.js';
import type { RunRecord } from '../../src/model/run-record.js';
import type { WorldChange } from '../../src/model/world.js';
import { aWorld } from '../support/a-world.js';
import { aPod, aRun, aRuntime, at, scheduledOn } from '../support/builders.js';
import { allTold, changed, done, dropped, failed } from '../support/told.js';

const p1 = aPod('p1', { capacity: { runs: 1 } });

const setUp = () => {
  const w = aWorld();
  const machine = schedule(w.world);
  const commands = (news: News, nowMs = 0): ReadonlyArray<Command> => [...machine.apply(news, nowMs)];
  return {
    w,
    commands,
    apply: (change: WorldChange, nowMs = 0) => allTold(commands(changed(change), nowMs)),
    wake: (nowMs: number) => allTold(machine.wake?.(nowMs) ?? []),
    due: () => machine.dueMs?.(),
  };
};
/** With Runtime bash and one ready pod for one Run. */
const ready = () => {
  const test = setUp();
  test.apply(test.w.runtime(aRuntime()));
  test.apply(test.w.pod(p1));
  test.apply(test.w.opened(p1));
  return test;
};
const waiting = (reason: string): RunRecord['status'] => ({
  phase: 'Pending',
  conditions: [{ type: 'Scheduled', status: 'False', reason, message: '' }],
});

describe('schedule', () => {
  it('places a Run as it comes, and the next as the first one ends', () => {
    const { w, apply } = ready();
    expect(apply(w.run(aRun('a')))).to.deep.equal(['AdvanceRun a: Assigned p1']);
    expect(apply(w.run(aRun('b')))).to.deep.equal([]);
    apply(w.run(aRun('a', { status: scheduledOn(p1) })));
    expect(apply(w.run(aRun('a', { status: { phase: 'Succeeded' } })))).to.deep.equal([
      'AdvanceRun b: Assigned p1',
    ]);
  });

  const unfit: ReadonlyArray<
    readonly [string, (w: ReturnType<typeof aWorld>) => ReadonlyArray<WorldChange>]
  > = [
    ['has no session', (w) => [w.closed(p1)]],
    ['is unhealthy', (w) => [w.changed(p1, { healthy: false })]],
    ['drains', (w) => [w.changed(p1, { draining: true })]],
    ['terminates', (w) => [w.pod({ ...p1, terminating: true })]],
    ['has ended', (w) => [w.pod({ ...p1, finished: true })]],
    ['is cordoned', (w) => [w.pod({ ...p1, cordonedSince: at(0) })]],
    ['is gone', (w) => [w.podGone(p1)]],
    ['belonged to a Runtime before of the same name', (w) => [w.runtime(aRuntime({ uid: 'uid-new' }))]],
    ['has the label, and no owner', (w) => [w.pod({ ...p1, ownerUid: undefined })]],
    ['is one of a Runtime that goes', (w) => [w.runtime(aRuntime({ deleting: true }))]],
  ];
  for (const [name, changes] of unfit)
    it(`places nothing on a pod that ${name}`, () => {
      const { w, apply } = ready();
      for (const change of changes(w)) apply(change);
      expect(apply(w.run(aRun('a')))).to.deep.equal([]);
    });

  it('takes to the pods of a Runtime that is seen after them', () => {
    const { w, apply } = setUp();
    apply(w.pod(p1));
    apply(w.opened(p1));
    expect(apply(w.run(aRun('a')))).to.deep.equal([]);
    expect(apply(w.runtime(aRuntime()))).to.deep.equal(['AdvanceRun a: Assigned p1']);
  });

  it('leaves a pod that refused alone for a while: what fills it may be unknown here', () => {
    const { w, apply, wake } = ready();
    const run = aRun('a');
    apply(w.run(run));
    apply(w.run(aRun('a', { status: scheduledOn(p1) })));
    apply(w.refused(p1, run, 1, 'AtCapacity'), 10);
    expect(apply(w.run(run), 12), 'at once').to.deep.equal([]);
    expect(wake(9 + REFUSED_MS)).to.not.include('AdvanceRun a: Assigned p1');
    expect(wake(10 + REFUSED_MS)).to.deep.equal(['AdvanceRun a: Assigned p1']);
  });

  it('places nothing that is cancelled or being deleted', () => {
    const { w, apply } = ready();
    expect(apply(w.run(aRun('a', { cancelRequested: true })))).to.deep.equal([]);
    expect(apply(w.run(aRun('b', { deleting: true })))).to.deep.equal([]);
  });

  it('knows what is held before it places anything, when it starts', () => {
    const { w } = setUp();
    w.runtime(aRuntime());
    w.pod(p1);
    w.run(aRun('old', { createdAt: at(0) }));
    w.run(aRun('young', { createdAt: at(9000), status: scheduledOn(p1) }));
    w.opened(p1);
    const machine = schedule(w.world);
    expect(w.snapshot().flatMap((change) => allTold(machine.apply(changed(change), 0)))).to.deep.equal([]);
  });

  describe('explanations', () => {
    const behind = 2 * EXPLAIN_AFTER_MS;

    it('come after a while, at a multiple of it, once', () => {
      const { w, apply, wake, due } = setUp();
      apply(w.run(aRun('a')), 10);
      expect(due()).to.equal(behind);
      expect(wake(behind)).to.deep.equal(['AdvanceRun a: Waited NoRuntime']);
      expect(due()).to.equal(undefined);
    });

    it('are spared to a Run that is placed before', () => {
      const { w, apply, wake, due } = ready();
      apply(w.run(aRun('a')));
      apply(w.run(aRun('b')));
      apply(w.runGone(aRun('a')), 100);
      expect(due()).to.equal(undefined);
      expect(wake(behind)).to.deep.equal([]);
    });

    it('are given to the youngest first: the others may be placed before their turn', () => {
      const { w, apply, wake } = ready();
      for (const name of ['a', 'b', 'c']) apply(w.run(aRun(name)), 1);
      expect(wake(behind)).to.deep.equal([
        'AdvanceRun c: Waited AtCapacity',
        'AdvanceRun b: Waited AtCapacity',
      ]);
    });

    it('are not repeated while the reason stays, and come again when it turns', () => {
      const { w, apply, wake, due } = ready();
      apply(w.run(aRun('a')));
      for (const name of ['b', 'c']) apply(w.run(aRun(name, { status: waiting('AtCapacity') })));
      expect(due(), 'they know').to.equal(undefined);
      apply(w.closed(p1), 1000);
      expect(wake(1000 + EXPLAIN_AFTER_MS)).to.deep.equal([
        'AdvanceRun c: Waited NoReadyPods',
        'AdvanceRun b: Waited NoReadyPods',
      ]);
    });

    it('are not written when the reason turns back in time', () => {
      const { w, apply, wake } = ready();
      apply(w.run(aRun('a')));
      apply(w.run(aRun('b', { status: waiting('AtCapacity') })));
      apply(w.closed(p1), 1000);
      apply(w.opened(p1), 1001);
      expect(wake(1000 + EXPLAIN_AFTER_MS)).to.deep.equal([]);
    });

    it('turn when pods with room for it come', () => {
      const { w, apply, wake } = ready();
      apply(w.run(aRun('big', { requests: { runs: 3 }, status: waiting('Unsatisfiable') })));
      const p2 = aPod('p2', { capacity: { runs: 4 } });
      apply(w.run(aRun('x', { requests: { runs: 1 } })));
      apply(w.pod(p2), 1000);
      expect(wake(1000 + EXPLAIN_AFTER_MS)).to.deep.equal(['AdvanceRun big: Waited AtCapacity']);
    });
  });

  describe('retries', () => {
    const retry = aRun('a', { status: { phase: 'Pending', attempt: 1, nextAttemptTime: at(5000) } });

    it('start at their time, not before it', () => {
      const { w, apply, wake, due } = ready();
      expect(apply(w.run(retry), 0)).to.deep.equal([]);
      expect(due()).to.equal(5000);
      expect(wake(4999)).to.deep.equal([]);
      expect(wake(5000)).to.deep.equal(['AdvanceRun a: Assigned p1']);
    });

    it('start at once where their time is farther off than any backoff: the clock was set back', () => {
      const { w, apply } = ready();
      const hourMs = 3_600_000;
      const late = { ...retry, status: { ...retry.status, nextAttemptTime: at(hourMs) } };
      expect(apply(w.run(late), 0)).to.deep.equal(['AdvanceRun a: Assigned p1']);
    });

    it('are forgotten when the Run is cancelled or gone', () => {
      for (const after of ['cancelled', 'gone'] as const) {
        const { w, apply, wake, due } = ready();
        apply(w.run(retry));
        apply(after === 'gone' ? w.runGone(retry) : w.run({ ...retry, cancelRequested: true }));
        wake(5000);
        expect(due(), after).to.equal(undefined);
      }
    });
  });

  describe('outcomes', () => {
    const one = (commands: ReadonlyArray<Command>): Command => {
      expect(commands).to.have.length(1);
      return commands[0] as Command;
    };

    it('of a refused write wait for the newer version', () => {
      const { w, commands, apply } = ready();
      const assign = one(commands(changed(w.run(aRun('a')))));
      expect(commands(failed(assign)), 'the cache still has the refused version').to.deep.equal([]);
      expect(apply(w.run(aRun('a', { ttlSeconds: 1 })))).to.deep.equal(['AdvanceRun a: Assigned p1']);
    });

    it('of a refused write are looked at again when no newer version comes', () => {
      const { w, commands, wake, due } = ready();
      commands(failed(one(commands(changed(w.run(aRun('a')))))), 100);
      expect(due()).to.equal(100 + STALE_MS);
      expect(wake(100 + STALE_MS)).to.deep.equal(['AdvanceRun a: Assigned p1']);
    });

    it('of a refused write place the newer version at once where it has come meanwhile, before younger Runs', () => {
      const { w, commands, apply } = ready();
      const assign = one(commands(changed(w.run(aRun('a')))));
      expect(apply(w.run(aRun('a', { ttlSeconds: 1 }))), 'while it is being written').to.deep.equal([]);
      apply(w.run(aRun('b')));
      expect(allTold(commands(failed(assign)))).to.deep.equal(['AdvanceRun a: Assigned p1']);
    });

    it('of a write that went through hold the room until the watch brings it', () => {
      const { w, commands, apply } = ready();
      const assign = one(commands(changed(w.run(aRun('a')))));
      expect(commands(done(assign))).to.deep.equal([]);
      expect(apply(w.run(aRun('b')))).to.deep.equal([]);
    });
  });

  type Act =
    | Readonly<{ act: 'create'; runs: number }>
    | Readonly<{ act: 'enact' | 'conflict' | 'end' | 'touch' | 'return'; which: number }>
    | Readonly<{ act: 'session'; which: number; open: boolean }>
    | Readonly<{ act: 'time'; ms: number }>;
  const act: fc.Arbitrary<Act> = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ act: fc.constant('create' as const), runs: fc.integer({ min: 1, max: 3 }) }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        act: fc.constantFrom(
          'enact' as const,
          'enact' as const,
          'conflict' as const,
          'end' as const,
          'touch' as const,
          'return' as const,
        ),
        which: fc.nat(20),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ act: fc.constant('session' as const), which: fc.nat(1), open: fc.boolean() }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ act: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 700 }) }),
    },
  );

  it('keeps its invariants over any history, and places all in the end', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const w = aWorld();
        const machine = schedule(w.world);
        const pods = [aPod('p1', { capacity: { runs: 3 } }), aPod('p2', { capacity: { runs: 2 } })];
        const open = new Set<string>();
        const queue: Command[] = [];
        let nowMs = 0;
        let created = 0;
        const take = (commands: Iterable<Command>): void => {
          for (const command of commands) {
            if (command.kind !== 'AdvanceRun') continue;
            // As runCommands does it: a newer decision takes the place of one of its kind that waits.
            const at = queue.findIndex((q) => q.kind === 'AdvanceRun' && q.run.key === command.run.key);
            if (at >= 0) queue.splice(at, 1, command);
            else queue.push(command);
          }
        };
        const hear = (news: News): void => take(machine.apply(news, nowMs));
        const see = (change: WorldChange): void => hear(changed(change));
        const enact = (index: number, refused = false): void => {
          const [command] = queue.splice(index, 1);
          if (command?.kind !== 'AdvanceRun') return;
          const current = w.world.runs.get(command.run.key);
          if (refused || !current) return hear(failed(command));
          const { step } = command;
          // As enacting does it: on the newest version, unless the lifecycle refuses the step there.
          if ((current.status.phase ?? 'Pending') !== 'Pending') return hear(dropped(command));
          if (step.kind === 'Assigned') {
            const pod = pods.find(({ uid }) => uid === step.podUid);
            if (pod) see(w.run({ ...current, status: scheduledOn(pod) }));
          } else if (step.kind === 'Waited') see(w.run({ ...current, status: waiting(step.reason) }));
          hear(done(command));
        };
        const check = (): void => {
          for (const pod of pods) {
            const held = new Map(w.world.runsOn(pod.uid).map((run) => [run.key, run.requests.runs ?? 0]));
            for (const q of queue)
              if (q.kind === 'AdvanceRun' && q.step.kind === 'Assigned' && q.step.podUid === pod.uid)
                if ((w.world.runs.get(q.run.key)?.status.phase ?? 'Pending') === 'Pending')
                  held.set(q.run.key, q.run.requests.runs ?? 0);
            const sum = [...held.values()].reduce((a, b) => a + b, 0);
            expect(sum, `on ${pod.name}`).to.be.at.most(pod.capacity.runs ?? 0);
          }
        };
        see(w.runtime(aRuntime()));
        for (const pod of pods) see(w.pod(pod));
        for (const a of acts) {
          const all = [...w.world.runs.values()];
          const run = 'which' in a ? all[a.which % Math.max(1, all.length)] : undefined;
          const pod = 'which' in a ? pods[a.which % 2] : undefined;
          if (a.act === 'create') {
            created += 1;
            see(w.run(aRun(`r${created}`, { createdAt: at(created), requests: { runs: a.runs } })));
          } else if (a.act === 'enact') enact(queue.length === 0 ? 0 : a.which % queue.length);
          else if (a.act === 'conflict') enact(queue.length === 0 ? 0 : a.which % queue.length, true);
          else if (a.act === 'touch' && run) see(w.run({ ...run, ttlSeconds: a.which }));
          else if (a.act === 'end' && run?.status.phase === 'Scheduled')
            see(w.run({ ...run, status: { phase: 'Succeeded' } }));
          else if (a.act === 'return' && run?.status.phase === 'Scheduled')
            see(w.run({ ...run, status: { phase: 'Pending', attempt: 1 } }));
          else if (a.act === 'session' && pod && a.open !== open.has(pod.name)) {
            see(a.open ? w.opened(pod) : w.closed(pod));
            if (a.open) open.add(pod.name);
            else open.delete(pod.name);
          } else if (a.act === 'time') {
            nowMs += a.ms;
            if ((machine.dueMs?.() ?? Infinity) <= nowMs) take(machine.wake?.(nowMs) ?? []);
          }
          check();
        }
        // The end: all pods there, everything enacted, whatever is placed ends.
        for (const pod of pods) if (!open.has(pod.name)) see(w.opened(pod));
        for (let i = 0; i < 2000; i += 1) {
          const busy = [...w.world.runs.values()].find(({ status }) => status.phase === 'Scheduled');
          if (queue.length > 0) enact(0);
          else if (busy) see(w.run({ ...busy, status: { phase: 'Succeeded' } }));
          else if (machine.dueMs?.() !== undefined) {
            nowMs = Math.max(nowMs, machine.dueMs() ?? 0);
            take(machine.wake?.(nowMs) ?? []);
          } else break;
          check();
        }
        expect([...w.world.runs.values()].filter(({ status }) => status.phase !== 'Succeeded')).to.deep.equal(
          [],
        );
      }),
      { numRuns: 300 },
    );
  });
});

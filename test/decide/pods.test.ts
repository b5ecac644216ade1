import { expect } from 'chai';

import { pods, REFUSED_MS, UNSEEN_MS } from '../../src/decide/pods.js';
import type { Command } from '../../src/model/command.js';
import type { News } from '../../src/model/news.js';
import type { PodRecord } from '../../src/model/pod.js';
import type { RuntimeRecord } from '../../src/model/runtime-record.js';
import { aWorld } from '../support/a-world.js';
import { aPod, aRun, aRuntime, at, runningOn } from '../support/builders.js';
import { allTold, changed, done, dropped, failed, version } from '../support/told.js';

const granted: Command = {
  kind: 'EnsureGrant',
  namespace: 'default',
  accounts: ['kruntimes-runtimed'],
  ownAccount: true,
};
const lastOf = (commands: ReadonlyArray<Command>): Command => {
  const command = commands.at(-1);
  if (command === undefined) throw new Error('no command');
  return command;
};

const setUp = (runtime: RuntimeRecord = aRuntime()) => {
  const w = aWorld();
  let seed = 0;
  const random = (): number => {
    seed = (seed * 16_807 + 11) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  const machine = pods(w.world, { revisionOf: () => 'r1', random });
  /** With what is due at once: changes of pods that come together make one look. */
  const commands = (news: News, nowMs = 0) => [
    ...machine.apply(news, nowMs),
    ...((machine.dueMs?.() ?? Infinity) <= nowMs ? (machine.wake?.(nowMs) ?? []) : []),
  ];
  const apply = (news: News, nowMs = 0) => allTold(commands(news, nowMs));
  const wake = (nowMs: number) => allTold(machine.wake?.(nowMs) ?? []);
  const seen = (nowMs = 0) => commands(changed(w.runtime(runtime)), nowMs);
  return { w, commands, apply, wake, seen, due: () => machine.dueMs?.() };
};
/** With the permission to create pods. */
const permitted = (runtime?: RuntimeRecord) => {
  const test = setUp(runtime);
  test.apply(done(granted));
  return test;
};

describe('pods', () => {
  it('creates nothing before the ServiceAccount may do what runtimed does', () => {
    const { seen, apply } = setUp();
    expect(allTold(seen())).to.deep.equal([]);
    expect(apply(done(granted))).to.deep.equal(['CreatePod of bash r1']);
  });

  it('does not create a pod twice while the first is not to be seen', () => {
    const { w, commands, apply, seen } = permitted();
    const created = seen();
    expect(allTold(created)).to.deep.equal(['CreatePod of bash r1']);
    expect(allTold(seen())).to.deep.equal([]);
    expect(apply(done(lastOf(created)))).to.deep.equal([]);
    const [command] = created;
    const name = command?.kind === 'CreatePod' ? command.name : '?';
    expect(allTold(commands(changed(w.pod(aPod(name)))))).to.deep.equal([]);
  });

  it('names pods after their Runtime, within 63 characters and different from each other', () => {
    const runtime = aRuntime({ name: 'r'.repeat(63), replicas: 20 });
    const names = permitted(runtime)
      .seen()
      .map((command) => (command.kind === 'CreatePod' ? command.name : '?'));
    expect(new Set(names).size).to.equal(20);
    for (const name of names) expect(name).to.match(/^r{57}-[a-z0-9]{5}$/);
  });

  it('creates another when a created pod is not seen for long: it was gone before it could be', () => {
    const { apply, seen, wake, due } = permitted();
    apply(done(lastOf(seen())), 100);
    expect(due()).to.equal(100 + UNSEEN_MS);
    expect(wake(100 + UNSEEN_MS)).to.deep.equal(['CreatePod of bash r1']);
  });

  it('asks for a refused pod again, at once, then later and later', () => {
    const { w, seen, commands, due } = permitted();
    let [creating] = seen();
    const waits: number[] = [];
    for (let nowMs = 0; waits.length < 4; ) {
      if (creating === undefined) throw new Error('nothing was created');
      const again = commands(failed(creating, 'Forbidden'), nowMs);
      if (again.length > 0) {
        waits.push(0);
        [creating] = again;
        continue;
      }
      const dueMs = due() ?? Infinity;
      waits.push(dueMs - nowMs);
      nowMs = dueMs;
      [creating] = commands(changed(w.runtime(aRuntime())), nowMs);
    }
    expect(waits).to.deep.equal([0, 500, 1000, 2000]);
  });

  it('replaces a pod that ended as a whole at once, the next one after a pause that grows until one is well', () => {
    const { w, apply, commands, due, wake } = permitted();
    const replaced = (name: string, nowMs: number): string => {
      const [creating, deleting] = commands(changed(w.pod(aPod(name, { finished: true }))), nowMs);
      expect(allTold([creating ?? granted, deleting ?? granted])).to.deep.equal([
        'CreatePod of bash r1',
        `DeletePod ${name}: Ended`,
      ]);
      return creating?.kind === 'CreatePod' ? creating.name : '?';
    };
    apply(changed(w.pod(aPod('a'))));
    apply(changed(w.runtime(aRuntime())));
    const b = replaced('a', 0);
    apply(changed(w.podGone(aPod('a'))), 5);
    expect(apply(changed(w.pod(aPod(b, { finished: true }))), 10)).to.deep.equal([`DeletePod ${b}: Ended`]);
    expect(due(), 'the second in a row').to.equal(10 + 10_000);
    expect(wake(10_009)).to.deep.equal([]);
    const [creating] = commands(changed(w.podGone(aPod(b))), 10_010);
    const c = creating?.kind === 'CreatePod' ? creating.name : '?';
    apply(changed(w.pod(aPod(c))), 10_020);
    apply(changed(w.opened(aPod(c))), 10_030);
    replaced(c, 10_040);
  });

  describe('that somebody else deletes or cordons', () => {
    /** When the next is created after each of three that are taken away 200 ms after their creation. */
    const pausesAfter = (
      taken: Partial<PodRecord>,
      how: Partial<PodRecord> = { terminating: true },
    ): ReadonlyArray<number> => {
      const { w, seen, commands, due } = permitted();
      let [creating] = seen();
      let nowMs = 0;
      return [1, 2, 3].map(() => {
        const name = creating?.kind === 'CreatePod' ? creating.name : '?';
        const pod = aPod(name, { ready: false, createdAt: at(nowMs), ...taken });
        commands(changed(w.pod(pod)), nowMs);
        nowMs += 200;
        const gone = { ...pod, cordonedSince: undefined, ...how, resourceVersion: '2' };
        const fromMs = nowMs;
        const isCreating = ({ kind }: Command): boolean => kind === 'CreatePod';
        creating = commands(changed(w.pod(gone)), nowMs).find(isCreating);
        // Its session may open all the same, while it is going.
        creating ??= commands(changed(w.opened(gone)), nowMs).find(isCreating);
        while (creating === undefined) {
          nowMs = due() ?? Number.NaN;
          creating = commands(changed(w.runtime(aRuntime())), nowMs).find(isCreating);
        }
        commands(changed(w.podGone(gone)), nowMs);
        return nowMs - fromMs;
      });
    };

    it('before they could serve are replaced at once, then after pauses that grow: there may be a second operator', () => {
      expect(pausesAfter({})).to.deep.equal([0, 10_000, 20_000]);
      expect(pausesAfter({}, { cordonedSince: at(0) })).to.deep.equal([0, 10_000, 20_000]);
    });

    it('when they were ready, or had been there for long, are replaced at once', () => {
      expect(pausesAfter({ ready: true })).to.deep.equal([0, 0, 0]);
      expect(pausesAfter({ createdAt: at(-60_000) })).to.deep.equal([0, 0, 0]);
    });
  });

  it('cordons once, and again when that was refused', () => {
    const { w, commands, apply, wake } = permitted(aRuntime({ replicas: 0 }));
    commands(changed(w.runtime(aRuntime({ replicas: 0 }))));
    const asked = commands(changed(w.pod(aPod('a'))));
    expect(allTold(asked)).to.deep.equal(['CordonPod a: ScaledDown']);
    expect(apply(changed(w.pod(aPod('a', { ready: false })))), 'asked for already').to.deep.equal([]);
    expect(apply(failed(lastOf(asked)), 50)).to.deep.equal([]);
    expect(wake(50 + REFUSED_MS)).to.deep.equal(['CordonPod a: ScaledDown']);
  });

  it('believes the cache again as soon as it holds what was written', () => {
    const { w, commands, apply } = permitted(aRuntime({ replicas: 0 }));
    commands(changed(w.runtime(aRuntime({ replicas: 0 }))));
    const asked = commands(changed(w.pod(aPod('a'))));
    apply(done(lastOf(asked), version('3')));
    // The next version of the pod, the third of this world, is not cordoned: somebody took the annotation away.
    expect(apply(changed(w.pod(aPod('a'))))).to.deep.equal(['CordonPod a: ScaledDown']);
  });

  it('does not choose a second pod while the first is being cordoned', () => {
    const { w, apply } = permitted(aRuntime({ replicas: 1 }));
    apply(changed(w.runtime(aRuntime({ replicas: 1 }))));
    apply(changed(w.pod(aPod('a'))));
    expect(apply(changed(w.pod(aPod('b', { createdAt: at(1) }))))).to.deep.equal(['CordonPod b: ScaledDown']);
    expect(apply(changed(w.pod(aPod('a', { ready: false }))))).to.deep.equal([]);
  });

  it('deletes a cordoned pod when its last Run has ended', () => {
    const { w, apply, wake } = permitted(aRuntime({ replicas: 0 }));
    apply(changed(w.runtime(aRuntime({ replicas: 0 }))));
    const leaving = aPod('a', { cordonedSince: at(0) });
    const run = aRun('x', { status: runningOn(leaving) });
    w.run(run);
    expect(apply(changed(w.pod(leaving)), 10)).to.deep.equal([]);
    expect(apply(changed(w.run({ ...run, status: { phase: 'Succeeded' } })), 2000)).to.deep.equal([
      'DeletePod a: Drained',
    ]);
    expect(wake(60_000), 'asked for once').to.deep.equal([]);
  });

  it('counts a cordon of a time to come from when it is seen: the clock was set back', () => {
    const { w, apply, wake, due } = permitted(aRuntime({ replicas: 0 }));
    apply(changed(w.runtime(aRuntime({ replicas: 0 }))));
    const leaving = aPod('a', { cordonedSince: at(3_600_000) });
    const run = aRun('x', { status: runningOn(leaving) });
    w.run(run);
    expect(apply(changed(w.pod(leaving)), 10)).to.deep.equal([]);
    expect(due(), 'of a busy pod the drain limit').to.equal(30_010);
    expect(apply(changed(w.run({ ...run, status: { phase: 'Succeeded' } })), 20)).to.deep.equal([]);
    expect(due(), 'of an idle one a moment').to.equal(510);
    expect(wake(510)).to.deep.equal(['DeletePod a: Drained']);
  });

  it('leaves the pods of a Runtime that is being deleted to the garbage collector', () => {
    const { w, apply, due } = permitted();
    expect(apply(changed(w.runtime(aRuntime({ deleting: true }))))).to.deep.equal([]);
    expect(due()).to.equal(undefined);
  });

  it('takes no account of pods of a namesake before it', () => {
    const { w, apply } = permitted();
    apply(changed(w.pod(aPod('a', { ownerUid: 'uid-before' }))));
    expect(apply(changed(w.runtime(aRuntime())))).to.deep.equal(['CreatePod of bash r1']);
  });

  it('forgets a deletion whose object was gone', () => {
    const { w, commands, apply } = permitted();
    commands(changed(w.runtime(aRuntime())));
    const ended = commands(changed(w.pod(aPod('a', { finished: true }))));
    expect(allTold(ended)).to.deep.equal(['DeletePod a: Ended']);
    expect(apply(dropped(lastOf(ended)))).to.deep.equal([]);
  });
});

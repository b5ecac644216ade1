/**
 * Invariants, over any order of changes, answers and failures:
 * - no finalizer is taken off before every store of the Run has answered that nothing is left (or it is given up);
 * - once all pods answer, every deleted Run goes;
 * - at most WINDOW Runs of one store are asked for at a time, and none twice.
 */
import { expect } from 'chai';
import * as fc from 'fast-check';

import { ANSWER_MS, cleanup, WINDOW } from '../../src/decide/cleanup/cleanup.js';
import { ORPHANS_MS } from '../../src/decide/cleanup/orphans.js';
import { IDLE_MS, POD_START_MS, SESSION_GRACE_MS } from '../../src/decide/cleanup/own-pods.js';
import { LONGEST_RETRY_MS } from '../../src/decide/cleanup/place.js';
import type { TimedMachine } from '../../src/decide/timed-machine.js';
import type { RecordedStore } from '../../src/model/artifact-store.js';
import { storePlace } from '../../src/model/artifact-store.js';
import type { Command } from '../../src/model/command.js';
import { type ObjectKey, objectKey, type PodUid } from '../../src/model/ids.js';
import { ARTIFACT_FINALIZER } from '../../src/model/names.js';
import type { News } from '../../src/model/news.js';
import type { PodRecord } from '../../src/model/pod.js';
import type { RunRecord } from '../../src/model/run-record.js';
import { aWorld } from '../support/a-world.js';
import { aPod, aRun, aRuntime, at, runningOn } from '../support/builders.js';
import { allTold, changed, done, dropped } from '../support/told.js';

const claim: RecordedStore = { driver: 'filesystem', filesystem: { volumeClaimName: 'c' } };
const bucket: RecordedStore = { driver: 's3', s3: { bucket: 'b' } };
const CLAIM = storePlace(claim);
const p1 = aPod('p1');
const withStore = { artifactStore: CLAIM };

const deleted = (
  name: string,
  overrides: Partial<RunRecord> = {},
  stores: ReadonlyArray<RecordedStore> = [claim],
): RunRecord =>
  aRun(name, {
    deleting: true,
    finalizers: [ARTIFACT_FINALIZER],
    status: { phase: 'Succeeded', completionTime: at(0), artifactStores: [...stores] },
    ...overrides,
  });

/** The machine over a world, one input at a time, its answers in words. */
const subject = () => {
  const w = aWorld();
  const machine = cleanup(w.world, { random: () => 0.5, storeOf: () => claim });
  const commands: Command[] = [];
  const take = (news: News, nowMs: number): ReadonlyArray<string> => {
    const made = [...machine.apply(news, nowMs)];
    commands.push(...made);
    return allTold(made);
  };
  const wake = (nowMs: number): ReadonlyArray<string> => {
    const made = [...(machine.wake?.(nowMs) ?? [])];
    commands.push(...made);
    return allTold(made);
  };
  const answer = (run: RunRecord, error = '', pod: PodRecord = p1, store = CLAIM): News =>
    changed({
      kind: 'ArtifactsRemoved',
      namespace: 'default',
      podUid: pod.uid,
      runUid: run.uid,
      store,
      error,
    });
  const last = <K extends Command['kind']>(kind: K): Extract<Command, { kind: K }> => {
    const found = [...commands].reverse().find((command) => command.kind === kind);
    if (!found) throw new Error(`no ${kind} was commanded`);
    return found as Extract<Command, { kind: K }>;
  };
  return { w, machine, take, wake, answer, last, due: () => machine.dueMs?.() };
};

/** A pod that cleans, as the cache has it once it was created. */
const cleaner = (key: ObjectKey, overrides: Partial<PodRecord> = {}): PodRecord =>
  aPod(key.slice(key.indexOf('/') + 1), {
    runtime: objectKey('default', ''),
    ownerUid: undefined,
    cleans: CLAIM,
    ...overrides,
  });

const NAMES = Array.from({ length: 12 }, (_, i) => `r${i}`);
const STORES = [claim, bucket];
const step = fc.oneof(
  fc.record({
    kind: fc.constant('delete' as const),
    name: fc.constantFrom(...NAMES),
    stores: fc.subarray(STORES),
  }),
  fc.record({ kind: fc.constant('open' as const), pod: fc.nat(2), store: fc.constantFrom(...STORES) }),
  fc.record({ kind: fc.constant('close' as const), pod: fc.nat(2) }),
  fc.record({ kind: fc.constant('answer' as const), which: fc.nat(), error: fc.constantFrom('', 'no') }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(100_000) }),
);

describe('cleanup', () => {
  it('asks a pod that has the store, and takes the finalizer off when it has answered', () => {
    const { w, take, answer } = subject();
    w.pod(p1);
    const a = deleted('a');
    expect(take(changed(w.opened(p1, withStore)), 0)).to.deep.equal([]);
    expect(take(changed(w.run(a)), 0)).to.deep.equal([`RemoveArtifacts a from ${CLAIM} by uid-p1`]);
    expect(take(answer(a), 5)).to.deep.equal(['ReleaseRun a: Removed']);
    expect(take(changed(w.runGone(a)), 6)).to.deep.equal([]);
  });

  const left: ReadonlyArray<readonly [string, RunRecord]> = [
    ['is not being deleted', deleted('a', { deleting: false })],
    ['has nothing stored', deleted('a', { finalizers: undefined })],
    ['still runs', deleted('a', { status: runningOn(p1, { artifactStores: [claim] }) })],
  ];
  for (const [name, run] of left)
    it(`leaves a Run alone that ${name}`, () => {
      const { w, take } = subject();
      w.pod(p1);
      take(changed(w.opened(p1, withStore)), 0);
      expect(take(changed(w.run(run)), 0)).to.deep.equal([]);
    });

  it('begins with one that ran when it was deleted, at its end', () => {
    const { w, take } = subject();
    w.pod(p1);
    take(changed(w.opened(p1, withStore)), 0);
    const a = deleted('a');
    take(changed(w.run({ ...a, status: runningOn(p1, { artifactStores: [claim] }) })), 0);
    expect(take(changed(w.run(a)), 9)).to.deep.equal([`RemoveArtifacts a from ${CLAIM} by uid-p1`]);
  });

  it('empties one store after the other', () => {
    const { w, take, answer } = subject();
    const p2 = aPod('p2');
    w.pod(p1);
    w.pod(p2);
    take(changed(w.opened(p1, withStore)), 0);
    take(changed(w.opened(p2, { artifactStore: storePlace(bucket) })), 0);
    const a = deleted('a', {}, [claim, bucket]);
    take(changed(w.run(a)), 0);
    expect(take(answer(a), 1)).to.deep.equal([`RemoveArtifacts a from ${storePlace(bucket)} by uid-p2`]);
    expect(take(answer(a, '', p2, storePlace(bucket)), 2)).to.deep.equal(['ReleaseRun a: Removed']);
  });

  it('takes the finalizer off at once where no store is recorded', () => {
    const { w, take } = subject();
    expect(take(changed(w.run(deleted('a', {}, []))), 0)).to.deep.equal(['ReleaseRun a: Removed']);
  });

  it('believes only the pod that was asked', () => {
    const { w, take, answer } = subject();
    w.pod(p1);
    take(changed(w.opened(p1, withStore)), 0);
    const a = deleted('a');
    take(changed(w.run(a)), 0);
    expect(take(answer(a, '', aPod('p2')), 1)).to.deep.equal([]);
    expect(take(answer(a, '', p1, 'claim other'), 1)).to.deep.equal([]);
  });

  it('asks another pod when the session ends before the answer', () => {
    const { w, take } = subject();
    const p2 = aPod('p2');
    w.pod(p1);
    w.pod(p2);
    take(changed(w.opened(p1, withStore)), 0);
    take(changed(w.run(deleted('a'))), 0);
    take(changed(w.opened(p2, withStore)), 1);
    expect(take(changed(w.closed(p1)), 2)).to.deep.equal([`RemoveArtifacts a from ${CLAIM} by uid-p2`]);
  });

  it('asks again after a message that found no session', () => {
    const { w, take, wake, last, due } = subject();
    w.pod(p1);
    take(changed(w.opened(p1, withStore)), 0);
    take(changed(w.run(deleted('a'))), 0);
    expect(take(dropped(last('RemoveArtifacts')), 1)).to.deep.equal([]);
    expect(wake(due() ?? 0)).to.deep.equal([`RemoveArtifacts a from ${CLAIM} by uid-p1`]);
  });

  it('says on every Run that waits why a store fails, once, and tries it with one Run, ever more slowly', () => {
    const { w, take, wake, answer, due } = subject();
    w.pod(p1);
    take(changed(w.opened(p1, withStore)), 0);
    const [a, b] = [deleted('a'), deleted('b')];
    take(changed(w.run(a)), 0);
    expect(take(answer(a, 'no route'), 10)).to.deep.equal([
      'ExplainCleanup a: StoreFailed',
      'RecordEvent a: Warning StoreFailed',
    ]);
    expect(take(changed(w.run(b)), 11)).to.deep.equal([
      'ExplainCleanup b: StoreFailed',
      'RecordEvent b: Warning StoreFailed',
    ]);
    const waits: number[] = [];
    let nowMs = 11;
    for (const run of [a, b, a, b, a, b, a, b]) {
      waits.push((due() ?? 0) - nowMs);
      nowMs = due() ?? 0;
      expect(wake(nowMs)).to.deep.equal([`RemoveArtifacts ${run.name} from ${CLAIM} by uid-p1`]);
      expect(take(answer(run, 'no route'), nowMs)).to.deep.equal([]);
    }
    expect(waits).to.deep.equal([999, 2000, 4000, 8000, 16_000, 32_000, LONGEST_RETRY_MS, LONGEST_RETRY_MS]);
    // It is back: all at once.
    nowMs = due() ?? 0;
    wake(nowMs);
    expect(take(answer(a), nowMs)).to.deep.equal([
      `RemoveArtifacts b from ${CLAIM} by uid-p1`,
      'ReleaseRun a: Removed',
    ]);
  });

  it('tells how the Run is to be given up, and gives it up', () => {
    const { w, take, answer, last } = subject();
    w.pod(p1);
    take(changed(w.opened(p1, withStore)), 0);
    const a = deleted('a');
    take(changed(w.run(a)), 0);
    take(answer(a, 'no route'), 10);
    expect(last('ExplainCleanup').message).to.equal(
      'the artifacts cannot be removed from claim c: no route; it is tried again. To delete the Run and leave its artifacts there: kubectl annotate run -n default a kruntimes.io/abandon-artifacts=true',
    );
    expect(take(changed(w.run({ ...a, abandoned: true })), 20)).to.deep.equal([
      'ReleaseRun a: Abandoned',
      'RecordEvent a: Warning ArtifactsAbandoned',
    ]);
    expect(take(changed(w.run({ ...a, abandoned: true })), 21)).to.deep.equal([]);
  });

  it('takes a pod that does not answer for a failure', () => {
    const { w, take, wake, due } = subject();
    w.pod(p1);
    take(changed(w.opened(p1, withStore)), 0);
    take(changed(w.run(deleted('a'))), 0);
    expect(due()).to.equal(ANSWER_MS);
    expect(wake(ANSWER_MS)).to.include('ExplainCleanup a: NoAnswer');
  });

  it('creates a pod where none has the store, not before sessions had time to come back', () => {
    const { w, take, wake, answer, last, due } = subject();
    const a = deleted('a');
    expect(take(changed(w.run(a)), 100)).to.deep.equal([]);
    expect(due()).to.equal(100 + SESSION_GRACE_MS);
    expect(wake(100 + SESSION_GRACE_MS)).to.deep.equal([`CreateCleanupPod in default for ${CLAIM}`]);
    const { key } = last('CreateCleanupPod');
    expect(take(done(last('CreateCleanupPod')), 5200)).to.deep.equal([]);
    const pod = cleaner(key);
    expect(take(changed(w.pod(pod)), 5300)).to.deep.equal([]);
    expect(take(changed(w.opened(pod, withStore)), 5400)).to.deep.equal([
      `RemoveArtifacts a from ${CLAIM} by ${pod.uid}`,
    ]);
    expect(take(answer(a, '', pod), 5500)).to.deep.equal(['ReleaseRun a: Removed']);
    expect(due()).to.equal(5500 + IDLE_MS);
    expect(wake(5500 + IDLE_MS)).to.deep.equal([`DeletePod ${pod.name}: Idle`]);
    expect(take(changed(w.closed(pod)), 40_000)).to.deep.equal([]);
    expect(take(changed(w.podGone(pod)), 40_000)).to.deep.equal([]);
    expect(due()).to.equal(undefined);
  });

  describe('logs of Runs that stored nothing else', () => {
    const run = aRun('a', { logged: true, status: { phase: 'Succeeded', completionTime: at(0) } });
    const runtime = aRuntime();
    const gone = (s: ReturnType<typeof subject>, nowMs: number) => {
      const { w, take } = s;
      take(changed(w.runtime(runtime)), nowMs);
      take(changed(w.runtimeGone(runtime)), nowMs);
      take(changed(w.run(run)), nowMs);
    };

    it('are removed by a pod made for them where their Runtime was deleted before them', () => {
      const s = subject();
      const { w, take, wake, answer, last, due } = s;
      gone(s, 0);
      expect(take(changed(w.runGone(run)), 0)).to.deep.equal([]);
      expect(wake(due() ?? 0)).to.deep.equal([`CreateCleanupPod in default for ${CLAIM}`]);
      const pod = cleaner(last('CreateCleanupPod').key);
      take(changed(w.pod(pod)), 5300);
      expect(take(changed(w.opened(pod, withStore)), 5400)).to.deep.equal([
        `RemoveArtifacts a from ${CLAIM} by ${pod.uid}`,
      ]);
      expect(take(answer(run, '', pod), 5500)).to.deep.equal([]);
      expect(wake(5500 + IDLE_MS)).to.deep.equal([`DeletePod ${pod.name}: Idle`]);
    });

    it('are so as well where the last pod of the Runtime went while it was asked', () => {
      const s = subject();
      const { w, take, wake, due } = s;
      take(changed(w.pod(p1)), 0);
      take(changed(w.opened(p1, withStore)), 0);
      gone(s, 0);
      expect(take(changed(w.runGone(run)), 0)).to.deep.equal([`RemoveArtifacts a from ${CLAIM} by uid-p1`]);
      take(changed(w.closed(p1)), 10);
      expect(wake(due() ?? 0)).to.deep.equal([`CreateCleanupPod in default for ${CLAIM}`]);
    });

    it('have no pod made for them where the Runtime is there: its pods come back', () => {
      const { w, take, due } = subject();
      take(changed(w.runtime(runtime)), 0);
      take(changed(w.run(run)), 0);
      expect(take(changed(w.runGone(run)), 0)).to.deep.equal([]);
      expect(due()).to.equal(undefined);
    });

    it('are given up where no such pod can be had', () => {
      const s = subject();
      const { w, take, wake, last, due } = s;
      gone(s, 0);
      take(changed(w.runGone(run)), 0);
      const error = { kind: 'Forbidden', message: 'exceeded quota' } as const;
      let tries = 0;
      for (let nowMs = due(); nowMs !== undefined && tries < 100; nowMs = due()) {
        if (wake(nowMs).length === 0) continue;
        tries += 1;
        take(
          { kind: 'Outcome', outcome: { kind: 'Failed', command: last('CreateCleanupPod'), error } },
          nowMs,
        );
        expect(nowMs).to.be.at.most(ORPHANS_MS);
      }
      expect(tries).to.be.within(5, 30);
      expect(due()).to.equal(undefined);
    });
  });

  it('says what keeps that pod from starting', () => {
    const { w, take, wake, last } = subject();
    take(changed(w.run(deleted('a'))), 0);
    wake(SESSION_GRACE_MS);
    const pod = cleaner(last('CreateCleanupPod').key, {
      trouble: { reason: 'Unschedulable', message: 'persistentvolumeclaim "c" not found' },
    });
    take(changed(w.pod(pod)), SESSION_GRACE_MS + 10);
    expect(wake(SESSION_GRACE_MS + POD_START_MS)).to.include('ExplainCleanup a: CleanupPodNotReady');
    expect(last('ExplainCleanup').message).to.match(/does not answer: persistentvolumeclaim "c" not found/);
  });

  it('removes pods of its own that an earlier operator left', () => {
    const { w, take, wake, due } = subject();
    const [one, two] = [cleaner(objectKey('default', 'c1')), cleaner(objectKey('default', 'c2'))];
    expect(take(changed(w.pod(one)), 0)).to.deep.equal([]);
    expect(take(changed(w.pod(two)), 0)).to.deep.equal(['DeletePod c2: Surplus']);
    expect(wake(due() ?? 0)).to.deep.equal(['DeletePod c1: Idle']);
  });

  it('lets a failing pod of its own go for the wait, and makes another at its end', () => {
    const { w, take, wake, answer, last, due } = subject();
    const a = deleted('a');
    take(changed(w.run(a)), 0);
    wake(SESSION_GRACE_MS);
    const pod = cleaner(last('CreateCleanupPod').key);
    take(changed(w.pod(pod)), SESSION_GRACE_MS);
    take(changed(w.opened(pod, withStore)), SESSION_GRACE_MS);
    let nowMs = SESSION_GRACE_MS;
    let told: ReadonlyArray<string> = [];
    for (let tries = 0; tries < 5; tries += 1) {
      told = take(answer(a, 'no route', pod), nowMs);
      nowMs = due() ?? 0;
      if (!told.includes(`DeletePod ${pod.name}: Failing`)) wake(nowMs);
    }
    expect(told).to.deep.equal([`DeletePod ${pod.name}: Failing`]);
    const backMs = due() ?? 0;
    take(changed(w.closed(pod)), backMs - 9000);
    take(changed(w.podGone(pod)), backMs - 8000);
    expect(wake(backMs)).to.deep.equal([]);
    expect(wake(due() ?? 0)).to.deep.equal([`CreateCleanupPod in default for ${CLAIM}`]);
  });

  it('lets Runs go in a namespace in which nothing can be created any more', () => {
    const { w, take, wake, last } = subject();
    take(changed(w.run(deleted('a'))), 0);
    wake(SESSION_GRACE_MS);
    const message =
      'pods "x" is forbidden: unable to create new content in namespace default because it is being terminated';
    const outcome = {
      kind: 'Failed',
      command: last('CreateCleanupPod'),
      error: { kind: 'Forbidden', message },
    } as const;
    expect(take({ kind: 'Outcome', outcome }, 6000)).to.deep.equal(['ReleaseRun a: NamespaceGone']);
  });

  it('says why a pod cannot be created, and tries again', () => {
    const { w, take, wake, last, due } = subject();
    take(changed(w.run(deleted('a'))), 0);
    wake(SESSION_GRACE_MS);
    const error = { kind: 'Forbidden', message: 'exceeded quota' } as const;
    const outcome = { kind: 'Failed', command: last('CreateCleanupPod'), error } as const;
    expect(take({ kind: 'Outcome', outcome }, 6000)).to.include('ExplainCleanup a: CleanupPodRefused');
    expect(wake(due() ?? 0)).to.deep.equal([`CreateCleanupPod in default for ${CLAIM}`]);
  });

  it('keeps its invariants, whatever happens in whatever order', () =>
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const w = aWorld();
        const machine: TimedMachine<News, Command> = cleanup(w.world, { random: () => 0.3 });
        let nowMs = 0;
        const pods = [0, 1, 2].map((i) => aPod(`p${i}`));
        for (const pod of pods) w.pod(pod);
        const open = new Map<PodUid, string>();
        /** What pods were asked and have not answered, by `run store`. */
        const asked = new Map<string, Extract<Command, { kind: 'RemoveArtifacts' }>>();
        const emptied = new Set<string>();
        const runs = new Map<string, RunRecord>();
        const enact = (commands: Iterable<Command>): void => {
          for (const command of commands) {
            if (command.kind === 'RemoveArtifacts') {
              const id = `${command.run.uid} ${command.store}`;
              expect(asked.has(id), `${id} asked for twice`).to.equal(false);
              expect(open.get(command.podUid)).to.equal(command.store);
              asked.set(id, command);
              const ofStore = [...asked.values()].filter(({ store }) => store === command.store);
              expect(ofStore.length).to.be.at.most(WINDOW);
            } else if (command.kind === 'ReleaseRun') {
              for (const store of command.run.status.artifactStores ?? [])
                expect(emptied.has(`${command.run.uid} ${storePlace(store)}`), command.run.name).to.equal(
                  true,
                );
              runs.delete(command.run.name);
              enact(machine.apply(changed(w.runGone(command.run)), nowMs));
            } else if (command.kind === 'CreateCleanupPod') enact(machine.apply(dropped(command), nowMs));
          }
        };
        const close = (pod: PodRecord): void => {
          if (!open.delete(pod.uid)) return;
          for (const [id, { podUid }] of asked) if (podUid === pod.uid) asked.delete(id);
          enact(machine.apply(changed(w.closed(pod)), nowMs));
        };
        const openTo = (pod: PodRecord, store: RecordedStore): void => {
          close(pod);
          open.set(pod.uid, storePlace(store));
          enact(machine.apply(changed(w.opened(pod, { artifactStore: storePlace(store) })), nowMs));
        };
        const answer = (id: string, error: string): void => {
          const question = asked.get(id);
          if (!question) return;
          asked.delete(id);
          if (error === '') emptied.add(id);
          const { podUid, store, run } = question;
          const change = {
            kind: 'ArtifactsRemoved',
            namespace: 'default',
            podUid,
            runUid: run.uid,
            store,
            error,
          };
          enact(machine.apply(changed(change as Parameters<typeof changed>[0]), nowMs));
        };
        const pass = (ms: number): void => {
          for (const until = nowMs + ms; ; ) {
            const due = machine.dueMs?.();
            if (due === undefined || due > until) {
              nowMs = until;
              return;
            }
            nowMs = Math.max(nowMs, due);
            // What was not answered in time counts as failed.
            for (const id of [...asked.keys()]) if (due >= ANSWER_MS) asked.delete(id);
            enact(machine.wake?.(nowMs) ?? []);
          }
        };
        for (const each of steps) {
          const pod = 'pod' in each ? pods[each.pod] : undefined;
          if (each.kind === 'delete' && !runs.has(each.name)) {
            const run = deleted(each.name, {}, each.stores);
            for (const id of [...emptied]) if (id.startsWith(`${run.uid} `)) emptied.delete(id);
            runs.set(each.name, run);
            enact(machine.apply(changed(w.run(run)), nowMs));
          } else if (each.kind === 'open' && pod) openTo(pod, each.store);
          else if (each.kind === 'close' && pod) close(pod);
          else if (each.kind === 'answer')
            answer([...asked.keys()][each.which % Math.max(1, asked.size)] ?? '', each.error);
          else if (each.kind === 'wait') pass(each.ms);
        }
        STORES.forEach((store, i) => {
          const pod = pods[i];
          if (pod) openTo(pod, store);
        });
        for (let turns = 0; runs.size > 0 && turns < 200; turns += 1) {
          for (const id of [...asked.keys()]) answer(id, '');
          if (asked.size === 0) pass(LONGEST_RETRY_MS);
        }
        expect([...runs.keys()]).to.deep.equal([]);
      }),
    ));
});

/**
 * 100 Runs in flight on a whole node while pods are replaced, taken away, evicted and killed, and while the leading
 * operator is killed or stopped: none fails that need not, none runs twice.
 */
import { readFileSync } from 'node:fs';

import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import { filter, firstValueFrom, map, timeout } from 'rxjs';

import { leases } from '../../../src/model/resources.js';
import { answer } from '../../e2e/attach.js';
import { type Installation, projectFile, READY_LIMIT_MS, SYSTEM, theInstallation } from './installation.js';
import { COUNT, expectOnceEach, LOAD, makeLoadRuntime, REPLICAS, startLoad } from './load.js';
import { NODE } from './node-level.js';
import { hasNode } from './the-node.js';

/** Of the Lease, and some time for a busy machine to act on its end. */
const TAKEOVER_LIMIT_MS = 15_000 + 15_000;

describe('100 Runs in flight on a whole node', function () {
  this.timeout(300_000);
  let on: Installation;
  before(async function () {
    if (!hasNode) return this.skip();
    this.timeout(4 * READY_LIMIT_MS);
    on = await theInstallation();
    await makeLoadRuntime(on);
  });

  const podsOf = async (): Promise<ReadonlyArray<string>> =>
    (await on.kubectl(['get', 'pods', '-l', 'load=true', '-o', 'name'])).trim().split('\n').filter(Boolean);

  /** Name of the pod that holds the Lease. */
  const holder = (lease: unknown): string =>
    (lease as { spec: { holderIdentity?: string } }).spec.holderIdentity ?? '';
  const leaseRef = { namespace: SYSTEM, name: 'kruntimes-controller' };
  const leaderName = async (): Promise<string> => holder(await answer(on.plane.kube.get(leases, leaseRef)));
  /** Pid of the operator in the pod that leads. */
  const leaderPid = async (): Promise<number> => {
    const identity = await leaderName();
    const pid = on.plane.pidsOf('controller.js').find((candidate) =>
      readFileSync(`/proc/${candidate}/environ`, 'utf8')
        .split('\0')
        .some((entry) => entry.startsWith('HOSTNAME=') && identity.startsWith(entry.slice(9))),
    );
    if (pid === undefined) throw new Error(`no process leads as ${identity}`);
    return pid;
  };
  /** Resolves with the milliseconds until somebody else leads. */
  const takenOver = async (from: string): Promise<number> => {
    const startedMs = performance.now();
    const lease = await answer(on.plane.kube.list(leases, { namespace: SYSTEM }));
    await firstValueFrom(
      on.plane.kube
        .watch(
          leases,
          { namespace: SYSTEM },
          { resourceVersion: lease.resourceVersion, timeoutSeconds: 120, idleMs: 120_000 },
        )
        .pipe(
          map((frame) =>
            E.isRight(frame) && frame.right.type !== 'BOOKMARK' ? holder(frame.right.object) : from,
          ),
          filter((now) => now !== from && now !== ''),
          timeout({ first: TAKEOVER_LIMIT_MS }),
        ),
    );
    return performance.now() - startedMs;
  };

  it('a rollout fails none, and replaces every pod', async () => {
    const load = await startLoad(on, 'rollout', 6);
    await load.allRunning();
    const before = await podsOf();
    await on.plane.patchRuntime(LOAD, { spec: { template: { metadata: { annotations: { round: '2' } } } } });
    expectOnceEach(await load.ends(), load);
    for (const pod of before) await on.kubectl(['wait', '--for=delete', pod, '--timeout=120s']);
    await on.plane.whenReady(LOAD, REPLICAS, READY_LIMIT_MS);
    expect((await podsOf()).filter((pod) => before.includes(pod))).to.deep.equal([]);
  });

  it('a scale-down fails none', async () => {
    const load = await startLoad(on, 'down', 6);
    await load.allRunning();
    await on.kubectl(['scale', 'runtime', LOAD, '--replicas=1']);
    expectOnceEach(await load.ends(), load);
    await on.plane.whenReady(LOAD, 1, READY_LIMIT_MS);
    await on.kubectl(['scale', 'runtime', LOAD, `--replicas=${REPLICAS}`]);
    await on.plane.whenReady(LOAD, REPLICAS, READY_LIMIT_MS);
  });

  it('a node drain fails none: evicted pods finish what they run', async () => {
    const load = await startLoad(on, 'drain', 8);
    await load.allRunning();
    await on.kubectl([
      'drain',
      NODE,
      '--pod-selector=load=true',
      '--ignore-daemonsets',
      '--delete-emptydir-data',
      '--timeout=120s',
    ]);
    await on.kubectl(['uncordon', NODE]);
    expectOnceEach(await load.ends(), load);
    await on.plane.whenReady(LOAD, REPLICAS, READY_LIMIT_MS);
  });

  it('a pod that is killed costs its Runs one attempt, and nobody else anything', async () => {
    const retryPolicy = { maxAttempts: 3, backoff: '100ms' };
    const load = await startLoad(on, 'crash', 6, { retryPolicy });
    await load.allRunning();
    const [victim = ''] = await podsOf();
    await on.kubectl(['delete', victim, '--force', '--grace-period=0']);
    const ended = await load.ends();
    expect(ended.filter(({ status }) => status?.phase !== 'Succeeded')).to.deep.equal([]);
    const again = ended.filter(({ status }) => status?.attempt !== 1);
    expect(again.length).to.equal(COUNT / REPLICAS);
    const executions = load.executions();
    expect(new Set(executions).size, 'an attempt ran twice').to.equal(executions.length);
    expect(executions.length).to.equal(COUNT + again.length);
    await on.plane.whenReady(LOAD, REPLICAS, READY_LIMIT_MS);
  });

  it('helm upgrade replaces the operator, which gives its Lease back, and fails none', async () => {
    const identity = await leaderName();
    const starting = startLoad(on, 'upgrade', 3);
    await on.helm([
      ...['upgrade', 'kruntimes', projectFile('charts/kruntimes'), `--namespace=${SYSTEM}`],
      ...['--set=images.tag=latest', '--set=podAnnotations.round=two', '--wait', '--timeout=3m'],
    ]);
    const load = await starting;
    expectOnceEach(await load.ends(), load);
    expect(await leaderName()).to.not.equal(identity);
  });

  it('the leader may be killed at any moment: the standby leads, sessions move, none is lost or run twice', async () => {
    for (const [round, afterMs] of [0, 700, 1900].entries()) {
      const identity = await leaderName();
      const pid = await leaderPid();
      const over = takenOver(identity);
      const starting = startLoad(on, `leader-${round}`, 3);
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      process.kill(pid, 'SIGKILL');
      const tookMs = await over;
      console.log(`      the standby led after ${Math.round(tookMs)} ms`);
      const load = await starting;
      expectOnceEach(await load.ends(), load);
    }
  });

  it('a leader that was stopped beyond its Lease and wakes up corrupts no Run', async () => {
    const identity = await leaderName();
    const pid = await leaderPid();
    const load = await startLoad(on, 'paused', 3);
    process.kill(pid, 'SIGSTOP');
    try {
      await takenOver(identity);
      // In the midst of the new leader's work.
      await on.plane.whenRun(
        load.names[COUNT / 2] ?? '',
        ({ status }) => status?.scheduledTime !== undefined,
        60_000,
      );
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    expectOnceEach(await load.ends(), load);
    for (const name of load.names) {
      const ends = on.plane.history(name).filter(({ status }) => status?.phase === 'Succeeded');
      expect(new Set(ends.map(({ status }) => status?.completionTime)).size, `ends of ${name}`).to.equal(1);
    }
    expect(await leaderName()).to.not.equal(identity);
  });
});

/**
 * Two operators on a real kube-apiserver: the leader is killed, or stopped and woken up, while Runs are in flight; none
 * is lost and none runs twice. On a whole node the same is done to the images as they ship.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import { attach, type ControlPlane } from '../e2e/attach.js';
import { START_LIMIT_MS } from '../e2e/control-plane.js';
import { startClusterPlane } from './control-plane.js';

const COUNT = 60;
/** The Lease's 15 s, and what a busy machine needs. */
const END_LIMIT_MS = 120_000;

describe('a standby on a cluster', function () {
  this.timeout(2 * END_LIMIT_MS);
  const programs = process.env.CLUSTER_BINARIES;
  let plane: ControlPlane;
  let side: string;
  before(async function () {
    if (programs === undefined) return this.skip();
    this.timeout(START_LIMIT_MS);
    side = mkdtempSync(join(tmpdir(), 'krt-standby-'));
    plane = await attach(await startClusterPlane(programs, 2));
    await plane.whenReady('bash', 2, START_LIMIT_MS);
  });
  after(async () => {
    await plane?.stop();
    if (side !== undefined) rmSync(side, { recursive: true, force: true });
  });

  /** Pid of the operator whose own figures say that it leads. */
  const leaderPid = async (): Promise<number> => {
    for (const pid of plane.pidsOf('controller.js')) {
      const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const address = args[args.indexOf('--metrics-listen') + 1];
      const text = await fetch(`http://${address}/metrics`).then((answer) => answer.text());
      if (/^kruntimes_leading 1$/m.test(text)) return pid;
    }
    throw new Error('none of the operators leads');
  };
  const start = async (prefix: string): Promise<ReadonlyArray<string>> => {
    const names = Array.from({ length: COUNT }, (_, i) => `${prefix}-${i}`);
    const inline = `echo "$KRUNTIME_RUN_UID $KRUNTIME_ATTEMPT" >> ${side}/${prefix}; sleep 0.3`;
    await Promise.all(names.map((name) => plane.create(name, { source: { inline } })));
    return names;
  };
  const expectOnceEach = async (prefix: string, names: ReadonlyArray<string>): Promise<void> => {
    const ended = await Promise.all(names.map((name) => plane.end(name, END_LIMIT_MS)));
    expect(ended.map(({ status }) => `${status?.phase}/${status?.attempt}`)).to.deep.equal(
      names.map(() => 'Succeeded/1'),
    );
    const executions = readFileSync(join(side, prefix), 'utf8').trim().split('\n').sort();
    expect(executions).to.deep.equal(ended.map(({ metadata }) => `${metadata.uid} 1`).sort());
  };

  it('leads when the leader is killed in the middle of its work, and no Run is lost or run twice', async () => {
    const leader = await leaderPid();
    const names = await start('killed');
    await plane.end(names[5] ?? '');
    process.kill(leader, 'SIGKILL');
    await expectOnceEach('killed', names);
    expect(await leaderPid()).to.not.equal(leader);
  });

  it('a leader that wakes up after its Lease is over corrupts no Run', async () => {
    const leader = await leaderPid();
    const names = await start('stopped');
    await plane.end(names[5] ?? '');
    process.kill(leader, 'SIGSTOP');
    try {
      // Pods have room for eight: this one is placed by the other operator.
      await plane.whenRun(
        names[COUNT - 1] ?? '',
        ({ status }) => status?.scheduledTime !== undefined,
        END_LIMIT_MS,
      );
    } finally {
      process.kill(leader, 'SIGCONT');
    }
    await expectOnceEach('stopped', names);
    expect(await leaderPid()).to.not.equal(leader);
  });
});

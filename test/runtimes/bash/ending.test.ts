import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect } from 'chai';

import { hasEnvironEntry, processFact, processIds, realtimeLimit } from '../../../src/io/processes/proc.js';
import { EndCause, State } from '../../../src/proto/gen/executor.js';
import { type Client, type Harness, startHarness, type Watching } from './harness.js';

/** Ids of living processes that carry the execution's own mark in their environment. */
const marked = (mark: string): readonly number[] =>
  processIds().filter((pid) => hasEnvironEntry(pid, `MARK=${mark}`) && processFact(pid) !== undefined);

/** A script's children, each of a kind that is hard to find or to end; each says its process id. */
const children: Readonly<Record<string, string>> = {
  plain: 'sleep 60 & echo pid $!',
  setsid: "setsid sh -c 'echo pid $$; exec sleep 60' &",
  'double fork': "( ( sh -c 'echo pid $$; exec sleep 60' & ) & )",
  'setsid and double fork': '( setsid sh -c \'sh -c "echo pid \\$\\$; exec sleep 60" & exit\' & )',
  nohup: "nohup sh -c 'echo pid $$; exec sleep 60' 2>/dev/null &",
  'ignores SIGTERM': 'bash -c \'trap "" TERM INT HUP; echo pid $$; while :; do sleep 60; done\' &',
  'ignores SIGTERM in a session of its own':
    'setsid bash -c \'trap "" TERM; echo pid $$; while :; do sleep 60; done\' &',
  stopped: "sh -c 'echo pid $$; kill -STOP $$; sleep 60' &",
  'without environment, output or parent':
    "( env -i setsid sh -c 'echo pid $$; exec sleep 60 <&- >/dev/null 2>&1' & )",
  'job control': 'set -m; sleep 60 & echo pid $!; set +m',
};

const pids = (text: string): readonly number[] =>
  [...text.matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid));

const startTree = async (
  client: Client,
  watching: Watching,
  body: string,
  count: number,
  mark: string,
): Promise<Readonly<{ id: string; pids: readonly number[] }>> => {
  const id = await client.script(body, { env: { MARK: mark } });
  const found = await watching.until(() => {
    const all = pids(watching.text(id));
    return all.length >= count ? all : undefined;
  });
  return { id, pids: found };
};

const alive = (all: readonly number[]): readonly number[] =>
  all.filter((pid) => processFact(pid) !== undefined);

describe('Cancel', () => {
  let harness: Harness;
  let watching: Watching;
  before(async () => {
    harness = await startHarness({ graceMillis: 200 });
    watching = harness.client.watch();
  });
  after(async () => {
    watching.cancel();
    await harness.stop();
  });

  it('leaves no process of a tree with every kind of child', async () => {
    const { client } = harness;
    const kinds = Object.values(children);
    const tree = await startTree(client, watching, `${kinds.join('\n')}\nwait`, kinds.length, 'all');
    expect(alive(tree.pids)).to.have.lengthOf(kinds.length);
    await client.cancel(tree.id);
    const exited = await watching.exited(tree.id);
    expect(alive(tree.pids)).to.deep.equal([]);
    expect(marked('all')).to.deep.equal([]);
    expect(exited.cause).to.equal(EndCause.END_CAUSE_CANCELLED);
    expect(await client.status(tree.id)).to.include({ state: State.STATE_FAILED, errorMessage: 'cancelled' });
  });

  it('kills a script that ignores SIGTERM when its grace is over, and says so', async () => {
    const { client } = harness;
    const tree = await startTree(
      client,
      watching,
      'trap "" TERM; echo pid $$; while :; do sleep 60; done',
      1,
      'ignores',
    );
    const began = performance.now();
    await client.cancel(tree.id);
    await client.cancel(tree.id);
    const exited = await watching.exited(tree.id);
    expect(performance.now() - began).to.be.greaterThan(190);
    expect(exited).to.include({ code: 137, signal: 9, cause: EndCause.END_CAUSE_CANCELLED });
  });

  it('touches no other execution', async () => {
    const { client } = harness;
    const body =
      "setsid sh -c 'echo pid $$; exec sleep 60' &\necho pid $$; mkfifo gate; echo pid $$; read -r _ < gate; echo done";
    const one = await startTree(client, watching, body, 3, 'one');
    const two = await startTree(client, watching, body, 3, 'two');
    await client.cancel(one.id);
    await watching.exited(one.id);
    expect(alive(two.pids)).to.have.lengthOf(3);
    writeFileSync(join(client.workDir, two.id, 'gate'), '\n');
    expect(await watching.exited(two.id)).to.include({ code: 0, cause: EndCause.END_CAUSE_EXITED });
    expect(watching.text(two.id)).to.contain('done\n');
  });

  it('changes nothing about an execution that has ended', async () => {
    const { client } = harness;
    const { id } = await client.run('exit 5');
    await client.cancel(id);
    expect(await client.status(id)).to.include({ exitCode: 5, errorMessage: '' });
  });

  it('ends a fork storm', async () => {
    const { client } = harness;
    const storm =
      'f() { (trap "" TERM; sleep 0.02; f) & (trap "" TERM; sleep 0.02; setsid sleep 60) & wait; }; echo pid $$; f';
    const tree = await startTree(client, watching, storm, 1, 'storm');
    await client.cancel(tree.id);
    await watching.exited(tree.id);
    expect(marked('storm')).to.deep.equal([]);
  });
});

describe('Cancel, of what ends within its grace', () => {
  let harness: Harness;
  let watching: Watching;
  before(async () => {
    // So long that nothing is killed however slow the machine is.
    harness = await startHarness({ graceMillis: 60_000 });
    watching = harness.client.watch();
  });
  after(async () => {
    watching.cancel();
    await harness.stop();
  });

  it('ends a tree that obeys SIGTERM within 100 ms, without waiting for the grace', async () => {
    const { client } = harness;
    const times: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      const tree = await startTree(client, watching, 'sleep 60 & echo pid $!; sleep 61', 1, 'obeys');
      const began = performance.now();
      await client.health();
      const call = performance.now() - began;
      await client.cancel(tree.id);
      const exited = await watching.exited(tree.id);
      // What an answer costs at this moment says how busy the machine is: 0.3 ms when it is idle.
      times.push(performance.now() - began - 20 * call);
      expect(exited).to.include({ code: 143, signal: 15, cause: EndCause.END_CAUSE_CANCELLED });
    }
    expect(Math.min(...times)).to.be.lessThan(100);
  });

  it('gives the whole tree its grace, not the leader alone', async () => {
    const { client } = harness;
    const body = `bash -c 'trap "sleep 0.05; echo cleaned up; exit 0" TERM; echo pid $$; while :; do sleep 0.01; done'`;
    const tree = await startTree(client, watching, `${body}\nexit 1`, 1, 'grace');
    await client.cancel(tree.id);
    await watching.exited(tree.id);
    expect(watching.text(tree.id)).to.contain('cleaned up\n');
  });

  it('keeps the code of a script that traps SIGTERM and ends in time', async () => {
    const { client } = harness;
    const tree = await startTree(
      client,
      watching,
      'trap "echo bye; exit 3" TERM; echo pid $$; while :; do sleep 0.01; done',
      1,
      'trap',
    );
    await client.cancel(tree.id);
    expect(await watching.exited(tree.id)).to.include({
      code: 3,
      signal: 0,
      cause: EndCause.END_CAUSE_CANCELLED,
    });
    expect(watching.text(tree.id)).to.contain('bye\n');
  });

  it('comes by timeout_seconds where nobody asks for it', async () => {
    const { client } = harness;
    const { exited, id } = await client.run('echo pid $$; sleep 60', { timeoutSeconds: 1 });
    expect(exited).to.include({ code: 143, signal: 15, cause: EndCause.END_CAUSE_TIMEOUT });
    expect((await client.status(id)).errorMessage).to.contain('timeout');
  });
});

describe('the end of an execution', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ graceMillis: 200 });
  });
  after(() => harness.stop());

  it('kills what the script has left behind before it is reported', async () => {
    const { client } = harness;
    const watching = client.watch();
    const kinds = Object.values(children);
    const id = await client.script(`mkfifo gate\n${kinds.join('\n')}\nread -r _ < gate; exit 4`, {
      env: { MARK: 'left' },
    });
    const all = await watching.until(() => {
      const found = pids(watching.text(id));
      return found.length === kinds.length ? found : undefined;
    });
    writeFileSync(join(client.workDir, id, 'gate'), '\n');
    const exited = await watching.exited(id);
    expect(alive(all)).to.deep.equal([]);
    expect(exited).to.include({ code: 4, cause: EndCause.END_CAUSE_EXITED });
    watching.cancel();
  });

  it('is not held up by a child that keeps the output open', async () => {
    const { client } = harness;
    const { exited, stdout } = await client.run('sleep 60 & echo first; exit 0');
    expect([exited.code, stdout]).to.deep.equal([0, 'first\n']);
  });

  it('leaves warm shells alone', async () => {
    const { client } = harness;
    const idle = (): number =>
      processIds().filter(
        (pid) => processFact(pid)?.parent === process.pid && realtimeLimit(pid) === undefined,
      ).length;
    expect(idle()).to.be.greaterThan(0);
    const { exited } = await client.run('sleep 0 & setsid sleep 60 & exit 0');
    expect(exited.code).to.equal(0);
    expect((await client.run('echo ok')).stdout).to.equal('ok\n');
  });
});

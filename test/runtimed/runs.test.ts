/** runtimed as a whole against a real API server and real Runtime Servers: the life of Runs that go well and badly. */
import { existsSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { firstValueFrom } from 'rxjs';
import { expectBelow } from '../support/pace.js';
import { Api } from './api.js';
import { Pod, type ServerKind, script, tell, UNTIL_TOLD } from './pod.js';

/** Whether a process runs; one that has ended and waits for its parent does not. */
const isAlive = (pid: unknown): boolean => {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};

for (const kind of ['bash', 'unary'] satisfies ReadonlyArray<ServerKind>)
  describe(`runtimed with the ${kind} Runtime Server`, () => {
    let api: Api;
    let pod: Pod;

    before(async () => {
      api = await Api.start();
      pod = await Pod.start(api, { kind, capacity: 64 });
      await pod.ready();
    });

    after(async () => {
      await pod.stop();
      await api.stop();
    });

    it('runs a script to its end with outputs, log and no trace left, and polls the API for nothing', async () => {
      // Before the session was open there was a list or two, or a watch, as long as that took.
      await pod.run('before', script(':'));
      const calls = { ...api.calls };
      const status = await pod.run(
        'hello',
        script(
          'echo "$MESSAGE from $KRUNTIME_RUN_NAME"; echo oops >&2; echo "result=ok" >> "$KRUNTIME_OUTPUTS"',
          {
            env: { MESSAGE: 'hello' },
          },
        ),
      );
      expect(status).to.include({ phase: 'Succeeded', exitCode: 0, attempt: 1, assignedPod: pod.name });
      expect(status.outputs).to.deep.equal({ result: 'ok' });
      expect(status.startTime).to.be.at.most(Number(status.completionTime));
      expect(pod.output('hello')).to.deep.equal(['hello from hello']);
      expect(pod.output('hello', 'stderr')).to.deep.equal(['oops']);
      expect(api.calls).to.deep.equal(calls);
      expect(calls.lists, 'lists at the beginning of the session').to.be.greaterThan(0);
      const { uid } = (await api.read('hello')).metadata;
      await pod.untilIdle();
      expect(existsSync(join(pod.workDir, uid))).to.equal(false);
      expect(await readdir(join(pod.stateDir, 'attempts'))).to.not.include(`${uid}.json`);
    });

    it('writes Running only for what still runs after 50 ms: one write for a short Run, two for a long one', async () => {
      // A server that is polled says late that a short one has ended; on a busy machine another may, too.
      const writes: number[] = [];
      while (kind === 'bash' && writes.at(-1) !== 1 && writes.length < 10) {
        const name = `short-${writes.length}`;
        await pod.run(name, script(':'));
        writes.push(api.writesOf(name).length);
      }
      if (kind === 'bash') expect(writes).to.include(1);
      const long = await pod.assign('long', script(UNTIL_TOLD));
      const running = await api.until('long', ({ phase }) => phase === 'Running');
      await tell(pod, long);
      const ended = await pod.ended('long');
      expect(ended.startTime).to.equal(running.startTime);
      expect(api.writesOf('long').map(({ accepted }) => accepted)).to.deep.equal([true, true]);
    });

    it('fails with the exit code and the last line of stderr', async () => {
      const status = await pod.run('seven', script('echo first >&2; echo last words >&2; exit 7'));
      expect(status).to.include({ phase: 'Failed', exitCode: 7, message: 'exit code 7: last words' });
      expect(status.conditions?.find(({ type }) => type === 'Finished')?.reason).to.equal('RuntimeError');
    });

    it('names the signal that killed the process', async () => {
      const status = await pod.run('killed', script('kill -9 $$'));
      expect(status).to.include({ phase: 'Failed', exitCode: 137 });
      expect(status.message).to.match(/^killed by signal 9 \(SIGKILL\)/);
    });

    it('cancels a tree of processes and ends as Cancelled', async () => {
      const run = await pod.assign('tree', script('sleep 300 & echo $!; sleep 300'));
      await pod.untilRecords(() => pod.output('tree').length > 0);
      const [child] = pod.output('tree');
      pod.operator.cancel(run);
      const status = await pod.ended('tree');
      expect(status.phase).to.equal('Cancelled');
      expect(isAlive(child)).to.equal(false);
    });

    it('ends an attempt at its timeout, counted from its start, in phase Timeout', async () => {
      await expectBelow(1_000, async (round) => {
        const status = await pod.run(`slow${round}`, script('sleep 300', { timeout: '400ms' }));
        expect(status).to.include({ phase: 'Timeout', message: 'timed out after 400ms' });
        const tookMs = (Number(status.completionTime) - Number(status.startTime)) / 1000;
        expect(tookMs).to.be.at.least(400);
        return tookMs;
      });
    });

    it('goes back to Pending with the time of the next attempt where the policy has one', async () => {
      const status = await pod.run(
        'again',
        script('exit 1', { retryPolicy: { maxAttempts: 2, backoff: '30s' } }),
      );
      expect(status).to.include({ phase: 'Pending', attempt: 1, exitCode: 1 });
      expect(status.nextAttemptTime).to.be.above(Number(status.attemptHistory?.[0]?.completionTime));
    });

    it('runs a second attempt of a Run anew, in a fresh workspace', async () => {
      const spec = script('ls; touch left; exit 1', { retryPolicy: { maxAttempts: 3, backoff: '1ms' } });
      await pod.run('twice', spec);
      const second = await pod.reschedule('twice', 2);
      pod.operator.assign(second);
      const status = await api.until('twice', (s) => s.attempt === 2 && s.phase === 'Pending');
      expect(status.attemptHistory?.map(({ attempt }) => attempt)).to.deep.equal([1, 2]);
      expect(pod.output('twice')).to.deep.equal(['script', 'script']);
    });

    if (kind === 'bash')
      it('runs sixty-four at once and all come to their own end', async () => {
        const names = Array.from({ length: 64 }, (_, i) => `many-${i}`);
        const ends = await Promise.all(
          names.map((name, i) =>
            pod.run(name, script(`sleep 0.2; echo "n=${i}" >> "$KRUNTIME_OUTPUTS"; exit ${i % 2}`)),
          ),
        );
        expect(ends.filter(({ message }) => !message?.startsWith('exit code'))).to.deep.equal([]);
        expect(ends.map(({ exitCode }) => exitCode)).to.deep.equal(names.map((_, i) => i % 2));
        expect(ends.map(({ outputs }) => outputs?.n)).to.deep.equal(
          names.map((_, i) => (i % 2 === 0 ? String(i) : undefined)),
        );
        await pod.untilIdle();
      });
  });

describe('runtimed', () => {
  let api: Api;
  let pod: Pod;

  before(async () => {
    api = await Api.start();
    pod = await Pod.start(api, { capacity: 2 });
    await pod.ready();
  });

  after(async () => {
    await pod.stop();
    await api.stop();
  });

  const reason = (status: Awaited<ReturnType<Pod['run']>>): unknown =>
    status.conditions?.find(({ type }) => type === 'Finished')?.reason;

  it('fails a Run whose entrypoint is not in the workspace, without retry', async () => {
    const status = await pod.run(
      'missing',
      script(':', { entrypoint: 'other.sh', retryPolicy: { maxAttempts: 3 } }),
    );
    expect(status.phase).to.equal('Failed');
    expect(reason(status)).to.equal('InvalidSpec');
    expect(status.message).to.contain('other.sh');
  });

  it('runs args alone as the command', async () => {
    const status = await pod.run('argv', { runtime: 'bash', args: ['echo', 'a  b'] });
    expect(status.phase).to.equal('Succeeded');
    expect(pod.output('argv')).to.deep.equal(['a  b']);
  });

  it('fails with the reason of bad outputs, and ignores those of a failed attempt', async () => {
    const bad: ReadonlyArray<readonly [string, string, string]> = [
      ['no-equals', 'echo nonsense > "$KRUNTIME_OUTPUTS"', 'OutputsInvalid'],
      ['a-fifo', 'rm -f "$KRUNTIME_OUTPUTS"; mkfifo "$KRUNTIME_OUTPUTS"', 'OutputsInvalid'],
      ['a-link', 'ln -sf /etc/hostname "$KRUNTIME_OUTPUTS"', 'OutputsInvalid'],
      ['huge', 'truncate -s 5G "$KRUNTIME_OUTPUTS"', 'OutputsTooLarge'],
      ['failed-anyway', 'echo nonsense > "$KRUNTIME_OUTPUTS"; exit 3', 'RuntimeError'],
    ];
    for (const [name, text, expected] of bad) {
      const status = await pod.run(name, script(text));
      expect(reason(status), name).to.equal(expected);
      expect(status.phase, name).to.equal('Failed');
    }
  });

  it('refuses what is beyond its capacity, and what is assigned to another pod', async () => {
    const first = await pod.assign('busy-1', script('sleep 300'));
    const second = await pod.assign('busy-2', script('sleep 300'));
    await api.until('busy-2', ({ phase }) => phase === 'Running');
    const refused = firstValueFrom(pod.operator.refusals$);
    await pod.assign('busy-3', script(':'));
    expect(await refused).to.deep.include({
      reason: 'AtCapacity',
      message: '2 of 2 runs taken, 1 more asked for',
    });
    const stale = firstValueFrom(pod.operator.refusals$);
    await pod.schedule('elsewhere', script(':'));
    pod.operator.assign(await api.setStatus('elsewhere', { assignedPodUID: 'another' }));
    expect((await stale).reason).to.equal('Stale');
    expect(api.writesOf('busy-3')).to.have.length(0);
    for (const run of [first, second]) pod.operator.cancel(run);
    await Promise.all(['busy-1', 'busy-2'].map((name) => pod.ended(name)));
  });

  it('takes an assignment that is repeated while held, or after its end, for what it is', async () => {
    const run = await pod.assign('repeated', script('sleep 0.1; echo once'));
    pod.operator.assign(run);
    await pod.ended('repeated');
    pod.operator.assign(run);
    await pod.run('after-repeated', script(':'));
    expect(pod.output('repeated')).to.deep.equal(['once']);
  });

  it('discards its result when the Run was given to somebody else meanwhile', async () => {
    await pod.assign('moved', script('read -t 300 < <(sleep 300)'));
    await api.until('moved', ({ phase }) => phase === 'Running');
    const moved = await api.setStatus('moved', { assignedPodUID: 'another', attempt: 2 });
    pod.operator.send({
      $case: 'cancel',
      value: { attempt: { runName: 'moved', runUid: moved.metadata.uid, attempt: 1 }, reason: 'Cancelled' },
    });
    await pod.logged('status write refused by its fence, result discarded', 'moved');
    await pod.untilIdle();
    expect((await api.read('moved')).status).to.deep.include({ phase: 'Running', attempt: 2 });
  });

  it('keeps head and tail of a flood of output, which does not hold up its neighbour', async () => {
    const flood = await pod.assign(
      'flood',
      script('yes a line of the flood | head -c 4000000; echo the end; sleep 300'),
    );
    await api.until('flood', ({ phase }) => phase === 'Running');
    expect(await pod.run('neighbour', script('echo fine'))).to.include({ phase: 'Succeeded' });
    await pod.untilRecords((records) => records.at(-1)?.message === 'the end');
    pod.operator.cancel(flood);
    expect(await pod.ended('flood')).to.include({ phase: 'Cancelled' });
  });

  it('fails a Run with artifacts where there is no store, saying what to do', async () => {
    const status = await pod.run('artifacts', script('echo body > "$KRUNTIME_ARTIFACTS_DIR/result.txt"'));
    expect(status).to.include({ phase: 'Failed', exitCode: 0 });
    expect(status.message).to.include('set spec.artifactStore of the Runtime');
  });

  it('keeps the end while the API is away, and writes it when it is back', async () => {
    const patient = await pod.assign('patient', script(`${UNTIL_TOLD}; echo "x=1" >> "$KRUNTIME_OUTPUTS"`));
    await api.until('patient', ({ phase }) => phase === 'Running');
    await api.goAway();
    await tell(pod, patient);
    await pod.logged('status write failed, trying again', 'patient');
    await api.comeBack();
    const status = await pod.ended('patient');
    expect(status).to.include({ phase: 'Succeeded' });
    expect(status.outputs).to.deep.equal({ x: '1' });
  });
});

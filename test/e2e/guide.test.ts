/** What the usage guide promises, and what users do wrong, against a whole control plane of real processes. */
import { expect } from 'chai';
import { filter, firstValueFrom, scan, timeout } from 'rxjs';

import { conditionOf } from '../../src/model/conditions.js';
import { runs, runtimes } from '../../src/model/resources.js';
import { Run } from '../../src/model/run.js';
import { informer } from '../../streams/watch/informer.js';
import { expectBelow } from '../support/pace.js';
import { answer, type ControlPlane } from './attach.js';
import { startControlPlane } from './control-plane.js';
import { commandLinesWith } from './pids.js';

describe('the guide', () => {
  let plane: ControlPlane;
  before(async () => {
    plane = await startControlPlane();
  });
  after(() => plane?.stop());

  it('runs a script, with its environment, in its own folder', async () => {
    const env = { MESSAGE: 'two\nlines "quoted" $HOME' };
    const inline =
      'test "$MESSAGE" = $\'two\\nlines "quoted" $HOME\' && test "$(basename "$PWD")" = "$KRUNTIME_RUN_UID" && ls';
    await plane.create('env', { env, source: { inline } });
    expect((await plane.end('env')).status).to.include({ phase: 'Succeeded', exitCode: 0, attempt: 1 });
  });

  it('keeps outputs, the last line of a key winning', async () => {
    const inline =
      'echo "result=no" >> "$KRUNTIME_OUTPUTS"; printf "# note\\n\\nresult=ok\\r\\n" >> "$KRUNTIME_OUTPUTS"';
    await plane.create('outputs', { source: { inline } });
    expect((await plane.end('outputs')).status?.outputs).to.deep.equal({ result: 'ok' });
  });

  it('cancels a tree of stubborn children within its grace, and the phase is Cancelled', async () => {
    const inline = `trap '' TERM; (trap '' TERM; setsid sleep 987123 & exec sleep 987123) & sleep 987123 & wait`;
    // The grace is 2 s.
    await expectBelow(2000 + 1000, async (round) => {
      const name = `cancelled-${round}`;
      await plane.create(name, { source: { inline } });
      await plane.whenRun(name, ({ status }) => status?.phase === 'Running');
      expect(commandLinesWith('sleep 987123').length).to.be.at.least(3);
      const asked = performance.now();
      await plane.patchRun(name, { spec: { cancelRequested: true } });
      const { status } = await plane.end(name);
      const took = performance.now() - asked;
      expect(status?.phase).to.equal('Cancelled');
      expect(commandLinesWith('sleep 987123')).to.deep.equal([]);
      return took;
    });
  });

  it('cancels what obeys SIGTERM without waiting for the grace', async () => {
    await expectBelow(1500, async (round) => {
      const name = `obedient-${round}`;
      await plane.create(name, { source: { inline: 'sleep 987124' } });
      await plane.whenRun(name, ({ status }) => status?.phase === 'Running');
      const asked = performance.now();
      await plane.patchRun(name, { spec: { cancelRequested: true } });
      expect((await plane.end(name)).status?.phase).to.equal('Cancelled');
      return performance.now() - asked;
    });
  });

  it('ends a timeout as Timeout, its clock starting anew with each attempt', async () => {
    await expectBelow(2000, async (round) => {
      const name = `slow-${round}`;
      await plane.create(name, {
        source: { inline: 'sleep 60' },
        timeout: '300ms',
        retryPolicy: { maxAttempts: 2, backoff: '50ms' },
      });
      const { status } = await plane.end(name);
      expect(status).to.include({ phase: 'Timeout', attempt: 2 });
      expect(status?.attemptHistory?.[0]).to.include({ reason: 'Timeout', attempt: 1 });
      const took = ((status?.completionTime ?? 0) - (status?.startTime ?? 0)) / 1000;
      expect(took).to.be.at.least(300);
      return took;
    });
  });

  it('retries until a script succeeds, running its code each time', async () => {
    const inline =
      '[ "$KRUNTIME_ATTEMPT" = 3 ] || exit 7; echo "attempt=$KRUNTIME_ATTEMPT" >> "$KRUNTIME_OUTPUTS"';
    await plane.create('retried', { source: { inline }, retryPolicy: { maxAttempts: 5, backoff: '50ms' } });
    const { status } = await plane.end('retried');
    expect(status).to.include({ phase: 'Succeeded', attempt: 3, exitCode: 0 });
    expect(status?.outputs).to.deep.equal({ attempt: '3' });
    expect(status?.attemptHistory?.map(({ exitCode }) => exitCode)).to.deep.equal([7, 7]);
  });

  it('reports exit codes and signals exactly', async () => {
    await plane.create('exit-42', { source: { inline: 'exit 42' } });
    await plane.create('killed-9', { source: { inline: 'kill -9 $$' } });
    expect((await plane.end('exit-42')).status).to.include({ phase: 'Failed', exitCode: 42 });
    expect((await plane.end('killed-9')).status).to.include({ phase: 'Failed', exitCode: 137 });
  });

  it('takes args as a command where there is no source', async () => {
    await plane.create('argv', {
      entrypoint: undefined,
      args: ['bash', '-c', 'test "$0" = "a b" && exit 5', 'a b'],
    });
    await plane.create('line', { entrypoint: undefined, args: ['exit 6; :'] });
    expect((await plane.end('argv')).status?.exitCode).to.equal(5);
    expect((await plane.end('line')).status?.exitCode).to.equal(6);
  });

  it('waits for a Runtime that does not exist, saying so, and starts once it does', async () => {
    await plane.create('early', { runtime: 'later', source: { inline: ':' } });
    const waiting = await plane.whenRun(
      'early',
      ({ status }) => conditionOf(status?.conditions, 'Scheduled')?.reason === 'NoRuntime',
    );
    expect(conditionOf(waiting.status?.conditions, 'Scheduled')?.message).to.include('later');
    const { kube } = plane;
    const template = { spec: { containers: [{ name: 'runtime', image: 'kruntimes-bash-runtime:latest' }] } };
    const manifest = {
      apiVersion: 'kruntimes.io/v1alpha1',
      kind: 'Runtime',
      metadata: { name: 'later' },
      spec: { replicas: 1, template },
    };
    await answer(kube.create(runtimes, 'default', manifest));
    expect((await plane.end('early')).status?.phase).to.equal('Succeeded');
  });

  it('says that a Run asks for more than any pod has, and lets others pass', async () => {
    await plane.create('huge', { resources: { requests: { runs: 99 } }, source: { inline: ':' } });
    await plane.create('modest', { source: { inline: ':' } });
    expect((await plane.end('modest')).status?.phase).to.equal('Succeeded');
    await plane.whenRun(
      'huge',
      ({ status }) => conditionOf(status?.conditions, 'Scheduled')?.reason === 'Unsatisfiable',
    );
    await plane.patchRun('huge', { spec: { cancelRequested: true } });
    expect((await plane.end('huge')).status?.phase).to.equal('Cancelled');
  });

  it('fails with a reason, not for ever, what only shows at run time', async () => {
    const bad: ReadonlyArray<readonly [string, Record<string, unknown>, string]> = [
      [
        'no-file',
        { source: { inline: ':' }, entrypoint: 'nowhere/else' },
        'PrepareSource|InvalidSpec|RuntimeExecute',
      ],
      ['bad-outputs', { source: { inline: 'echo novalue >> "$KRUNTIME_OUTPUTS"' } }, 'OutputsInvalid'],
      [
        'big-outputs',
        { source: { inline: 'printf "k=%9000s\\n" x >> "$KRUNTIME_OUTPUTS"' } },
        'OutputsTooLarge',
      ],
    ];
    for (const [name, spec, reason] of bad) {
      await plane.create(name, spec);
      const { status } = await plane.end(name);
      expect(status?.phase, name).to.equal('Failed');
      expect(conditionOf(status?.conditions, 'Completed')?.reason, name).to.match(
        new RegExp(`^(${reason})$`),
      );
      expect(status?.message, name).to.not.equal('');
    }
  });

  it('refuses at the API, naming the field, what can never work', async () => {
    const source = { inline: ':' };
    const bad: ReadonlyArray<readonly [Record<string, unknown>, RegExp]> = [
      [{ source, entrypoint: '/bin/sh' }, /spec\.entrypoint/],
      [{ source, entrypoint: 'a/../b' }, /spec\.entrypoint/],
      [{ source: { inline: ':', repoURL: 'https://x/y.git', commitSHA: 'a'.repeat(40) } }, /spec\.source/],
      [{ source, env: { '1X': 'y' } }, /spec\.env/],
      [{ source, env: { KRUNTIME_X: 'y' } }, /spec\.env/],
      [{ source, args: 'x' }, /spec\.args/],
      [{ source, colour: 'red' }, /colour/],
      [{ source, timeout: 'soon' }, /spec\.timeout/],
    ];
    for (const [spec, field] of bad) {
      const error = await plane.refusal('refused', spec);
      expect(error.message, JSON.stringify(spec)).to.match(field);
      expect(error.kind).to.equal('Invalid');
    }
    await plane.create('fixed', { source: { inline: 'sleep 0.1' } });
    const changes: ReadonlyArray<readonly [Record<string, unknown>, RegExp]> = [
      [{ env: { A: 'b' } }, /immutable|spec/],
      [{ source: { inline: 'echo other' } }, /immutable|spec/],
    ];
    for (const [spec, message] of changes) {
      const refused = await plane.patchRun('fixed', { spec }).then(
        () => undefined,
        (error: Error) => error.message,
      );
      expect(refused, JSON.stringify(spec)).to.match(message);
    }
  });

  it('deletes a finished Run when its time to live is over', async () => {
    await plane.create('brief', { source: { inline: ':' }, ttlSecondsAfterFinished: 0 });
    const KEY = 'default/brief';
    await plane.end('brief');
    await firstValueFrom(
      informer(plane.kube, runs, { namespace: 'default' }, Run, { random: Math.random }).pipe(
        scan(
          ({ isThere, isListed }, event) => ({
            isThere:
              (isThere || (event.kind === 'Apply' && event.key === KEY)) &&
              !(event.kind === 'Delete' && event.key === KEY),
            isListed: isListed || event.kind === 'InitDone',
          }),
          { isThere: false, isListed: false },
        ),
        filter(({ isThere, isListed }) => isListed && !isThere),
        timeout({ first: 60_000 }),
      ),
    );
  });
});

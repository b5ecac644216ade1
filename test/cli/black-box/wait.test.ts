/** krt as it ships, against the real API server: waiting for Runs. */
import { expect } from 'chai';

import { runs } from '../../../src/model/resources.js';
import { endCalls } from './call.js';
import { end, runNamed, startCluster, type TestCluster } from './cluster.js';

describe('krt waiting for a Run', () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startCluster();
  });
  after(() => cluster.close());
  afterEach(endCalls);

  const always = (): boolean => true;

  for (const [name, status, code, summary] of [
    ['ok', end('Succeeded', 'Succeeded', { exitCode: 0 }), 0, /run ok Succeeded in 1.5s/],
    [
      'script-7',
      end('Failed', 'RuntimeError', { exitCode: 7, message: 'exit code 7' }),
      7,
      /Failed \(RuntimeError\).*exit code 7/,
    ],
    ['lost', end('Failed', 'ExecutionLost'), 125, /Failed \(ExecutionLost\)/],
    ['outputs', end('Failed', 'OutputsInvalid', { exitCode: 0 }), 125, /Failed \(OutputsInvalid\)/],
    ['slow', end('Timeout', 'Timeout', { exitCode: 143 }), 124, /slow Timeout/],
    ['stopped', end('Cancelled', 'Cancelled'), 130, /stopped Cancelled/],
  ] as const)
    it(`krt run --wait exits ${code} for ${status.phase} ${name}`, async () => {
      const call = cluster.krt('run', '--name', name, '-r', 'bash', '--wait', '--', 'x');
      await cluster.until(name, always);
      await cluster.status(name, { phase: 'Running', attempt: 1 });
      await cluster.status(name, status);
      const { code: exit, out, err } = await call.done;
      expect(err).to.match(summary);
      expect(out).to.equal('');
      expect(exit).to.equal(code);
    });

  it('prints the ended object with -o json, and only that', async () => {
    const call = cluster.krt('run', '--name', 'as-json', '-r', 'bash', '--wait', '-o', 'json', '--', 'x');
    await cluster.until('as-json', always);
    await cluster.status('as-json', end('Succeeded', 'Succeeded', { outputs: { result: 'ok' } }));
    const object = JSON.parse((await call.done).out);
    expect(object).to.include({ kind: 'Run' });
    expect(object.status.outputs).to.deep.equal({ result: 'ok' });
  });

  it('asks for cancellation at the first Ctrl-C and ends as the Run does', async () => {
    const call = cluster.krt('run', '--name', 'int-1', '-r', 'bash', '--wait', '--', 'x');
    await call.says('err', /int-1 created/);
    call.child.kill('SIGINT');
    await cluster.until('int-1', (run) => JSON.stringify(run).includes('"cancelRequested":true'));
    await cluster.status('int-1', end('Cancelled', 'Cancelled'));
    const { code, err } = await call.done;
    expect(err).to.match(/asking for the cancellation of run default\/int-1/);
    expect(code).to.equal(130);
  });

  it('leaves at the second Ctrl-C', async () => {
    const call = cluster.krt('run', '--name', 'int-2', '-r', 'bash', '--wait', '--', 'x');
    await call.says('err', /int-2 created/);
    call.child.kill('SIGINT');
    await cluster.until('int-2', (run) => JSON.stringify(run).includes('"cancelRequested":true'));
    call.child.kill('SIGINT');
    const { code, err } = await call.done;
    expect(err).to.match(/krt: left/);
    expect(code).to.equal(130);
  });

  it('sees an end that came while the API server was down', async () => {
    const call = cluster.krt('run', '--name', 'restart', '-r', 'bash', '--wait', '-v', '--', 'x');
    await call.says('err', /runs\?fieldSelector=metadata.name%3Drestart&watch=1/);
    await cluster.killApi();
    await cluster.restartApi();
    await cluster.status('restart', end('Failed', 'RuntimeError', { exitCode: 9 }));
    expect((await call.done).code).to.equal(9);
  });

  it('krt wait ends when all Runs have, with the first code that is not 0', async () => {
    for (const name of ['all-1', 'all-2', 'all-3']) await cluster.create(runs, runNamed(name));
    await cluster.status('all-1', end('Succeeded', 'Succeeded'));
    const call = cluster.krt('wait', 'all-1', 'all-2', 'all-3', '-v');
    await call.says('err', /all-3&watch=1/);
    await cluster.status('all-3', end('Timeout', 'Timeout'));
    await cluster.status('all-2', end('Failed', 'RuntimeError', { exitCode: 4 }));
    const { code, out } = await call.done;
    expect(out).to.match(/^run all-1 Succeeded.*\nrun all-2 Failed.*\nrun all-3 Timeout.*\n$/);
    expect(code).to.equal(4);
  });

  it('krt wait gives up after its --timeout and says what is still open', async () => {
    await cluster.create(runs, runNamed('open'));
    const said: string[] = [];
    // On a busy machine krt may not have seen the Run by then.
    for (const limit of ['1s', '5s', '20s', '50s']) {
      const { code, err } = await cluster.krt('wait', 'open', '--timeout', limit).done;
      expect(code).to.equal(1);
      said.push(err.replace(limit, 'LIMIT'));
      if (!err.includes('unseen')) break;
    }
    expect(said.at(-1)).to.match(/^krt: after LIMIT not all Runs have ended: open is Pending/);
  });

  it('krt wait fails when the Run is deleted before its end', async () => {
    await cluster.create(runs, runNamed('deleted'));
    const call = cluster.krt('wait', 'deleted', '-v');
    await call.says('err', /deleted&watch=1/);
    expect((await cluster.krt('delete', 'deleted').done).out).to.equal('run.kruntimes.io/deleted deleted\n');
    const { code, err } = await call.done;
    expect(err).to.match(/krt: run default\/deleted was deleted while it was Pending/);
    expect(code).to.equal(3);
  });

  it('krt wait names the Runs that are not there', async () => {
    const { code, err } = await cluster.krt('wait', 'nobody').done;
    expect(err).to.match(/^krt: no run default\/nobody; .*\n$/);
    expect(code).to.equal(3);
  });

  it('krt cancel --wait ends with the Run', async () => {
    await cluster.create(runs, runNamed('cancel-me'));
    const call = cluster.krt('cancel', 'cancel-me', '--wait');
    await cluster.until('cancel-me', (run) => JSON.stringify(run).includes('"cancelRequested":true'));
    await cluster.status('cancel-me', end('Cancelled', 'Cancelled'));
    expect((await call.done).code).to.equal(130);
  });

  it('krt cancel says so when the Run had ended before', async () => {
    const { code, out } = await cluster.krt('cancel', 'cancel-me').done;
    expect(out).to.equal('run.kruntimes.io/cancel-me had already ended: Cancelled\n');
    expect(code).to.equal(0);
  });
});

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are shell's.
import { readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';

import { status } from '@grpc/grpc-js';
import { expect } from 'chai';

import { EndCause, State } from '../../../src/proto/gen/executor.js';
import { codeOf, type Harness, startHarness } from './harness.js';

describe('Execute', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness();
  });
  after(() => harness.stop());

  it('runs a script with its arguments, environment and folder, and an empty stdin', async () => {
    const { client } = harness;
    const { id, exited, stdout, stderr } = await client.run(
      'echo "$0|$#|$1|$2|$MESSAGE|$PWD"; cat; echo err >&2',
      { args: ['a b', '$x'], env: { MESSAGE: 'hello' } },
    );
    expect(stdout).to.equal(`script|2|a b|$x|hello|${join(client.workDir, id)}\n`);
    expect(stderr).to.equal('err\n');
    expect(exited).to.include({ code: 0, signal: 0, cause: EndCause.END_CAUSE_EXITED, stdoutDropped: 0 });
  });

  it('starts nothing for an id that is known, running or ended, until Forget', async () => {
    const { client } = harness;
    const id = await client.script('echo x >> count; mkfifo gate; echo ready; read -r _ < gate');
    const again = (): Promise<{ id: string }> => client.execute({ id, workingDir: id, entrypoint: 'script' });
    const count = (): string => readFileSync(join(client.workDir, id, 'count'), 'utf8');
    const watching = client.watch();
    await watching.output(id, 'ready');
    expect(await Promise.all([again(), again()])).to.deep.equal([{ id }, { id }]);
    expect(await codeOf(client.forget(id))).to.equal(status.FAILED_PRECONDITION);
    writeFileSync(join(client.workDir, id, 'gate'), '\n');
    await watching.exited(id);
    expect(await again()).to.deep.equal({ id });
    expect((await client.status(id)).state).to.equal(State.STATE_SUCCEEDED);
    expect(count()).to.equal('x\n');

    await client.forget(id);
    await client.forget(id);
    expect(await codeOf(client.status(id))).to.equal(status.NOT_FOUND);
    client.write(id, 'script', 'echo x >> count');
    watching.cancel();
    await again();
    const second = client.watch();
    await second.exited(id);
    expect(count()).to.equal('x\nx\n');
    second.cancel();
  });

  for (const code of [0, 1, 2, 3, 42, 124, 125, 126, 127, 128, 130, 137, 200, 255])
    it(`reports exit code ${code}`, async () => {
      const { client } = harness;
      const { exited, id } = await client.run(`exit ${code}`);
      expect(exited).to.include({ code, signal: 0, cause: EndCause.END_CAUSE_EXITED });
      expect(await client.status(id)).to.include({
        exitCode: code,
        state: code === 0 ? State.STATE_SUCCEEDED : State.STATE_FAILED,
      });
    });

  for (const name of ['SIGHUP', 'SIGINT', 'SIGKILL', 'SIGSEGV', 'SIGTERM', 'SIGUSR1'] as const)
    it(`reports ${name} as 128 + its number and as the signal`, async () => {
      const { exited } = await harness.client.run(`kill -${name.slice(3)} $$`);
      const number = constants.signals[name];
      expect(exited).to.include({ code: 128 + number, signal: number, cause: EndCause.END_CAUSE_EXITED });
    });

  it('gives one argument to the shell and several to exec', async () => {
    const { client } = harness;
    expect((await client.command(['echo a && echo "$0" $X; exit 7'], { env: { X: 'y' } })).stdout).to.equal(
      'a\nbash y\n',
    );
    expect((await client.command(['printf', '%s|', 'a b', '$X', '*'])).stdout).to.equal('a b|$X|*|');
    expect((await client.command(['sh', '-c', 'exit 9'])).exited.code).to.equal(9);
  });

  it('answers a command that is not there, or is no program, as a shell does', async () => {
    const { client } = harness;
    const absent = await client.command(['no-such-command', 'x']);
    expect(absent.exited).to.include({ code: 127, cause: EndCause.END_CAUSE_EXITED });
    expect(absent.stderr).to.equal('bash: no-such-command: command not found\n');
    expect((await client.command(['/etc/passwd', 'x'])).exited.code).to.equal(126);
    expect((await client.command(['no-such-command'])).exited.code).to.equal(127);
  });

  it('reports an entrypoint that can not be started as NOT_STARTED with its reason', async () => {
    const { client } = harness;
    const id = client.newId();
    client.write(id, 'folder/file', '');
    const entry = async (entrypoint: string): Promise<string> => {
      const run = client.newId();
      await client.execute({ id: run, workingDir: id, entrypoint });
      const { exited } = await client.finish(run);
      expect(exited.cause).to.equal(EndCause.END_CAUSE_NOT_STARTED);
      expect(await client.status(run)).to.include({
        state: State.STATE_FAILED,
        errorMessage: exited.errorMessage,
      });
      return `${exited.code} ${exited.errorMessage}`;
    };
    expect(await entry('nothing')).to.match(/^127 entrypoint "nothing": no such file/);
    expect(await entry('folder/file/x')).to.match(/^127 /);
    expect(await entry('folder')).to.match(/^126 entrypoint "folder" is a directory/);
    expect(await entry('')).to.match(/^127 nothing to run/);
  });

  it('refuses requests that make no sense, naming the field and not the value', async () => {
    const { client } = harness;
    const id = client.newId();
    const good = { id, workingDir: id, entrypoint: 'script' };
    const details = async (request: object): Promise<string> =>
      client.execute({ ...good, ...request }).then(
        () => 'accepted',
        (error: Error) => error.message,
      );
    expect(await details({ id: '' })).to.match(/INVALID_ARGUMENT: id must/);
    expect(await details({ entrypoint: '/bin/sh' })).to.match(/entrypoint must be a relative path/);
    expect(await details({ entrypoint: 'a/../../b' })).to.match(/entrypoint must be a relative path/);
    expect(await details({ env: { A: 'secret\0value' } }))
      .to.match(/env\.A must not contain/)
      .and.not.contain('secret');
    expect(await details({ env: { 'A=B': 'x' } })).to.match(/INVALID_ARGUMENT/);
    expect(await details({ args: ['a\0b'] })).to.match(/args\.0 must not contain/);
    expect(await details({ timeoutSeconds: -1 })).to.match(/timeoutSeconds must be/);
    expect(await details({ workingDir: 'not-there' })).to.match(
      /working_dir ".*not-there" is not a directory/,
    );
    expect(await codeOf(client.status(id))).to.equal(status.NOT_FOUND);
    expect(await codeOf(client.cancel(id))).to.equal(status.NOT_FOUND);
  });

  it('writes to /dev/stdout and /dev/stderr, also through tee', async () => {
    const { stdout, stderr } = await harness.client.run(
      'echo out > /dev/stdout; echo err > /dev/stderr; echo both | tee /dev/stderr',
    );
    expect(stdout).to.equal('out\nboth\n');
    expect(stderr).to.equal('err\nboth\n');
  });

  it('gives each of 64 concurrent executions its own output and code', async () => {
    const { client } = harness;
    const results = await Promise.all(
      Array.from({ length: 64 }, (_, n) =>
        client.run(`echo $N; echo $N >&2; exit $N`, { env: { N: String(n) } }),
      ),
    );
    results.forEach(({ exited, stdout, stderr }, n) => {
      expect([exited.code, stdout, stderr]).to.deep.equal([n, `${n}\n`, `${n}\n`]);
    });
  });

  it('gives a Run no settings of the server, no descriptor but the three, and the pod sign', async () => {
    const other = await startHarness(
      {},
      {
        ...process.env,
        KRUNTIME_LISTEN_ADDRESS: 'x',
        KRUNTIME_PARENT_FD: '3',
        KRUNTIME_POD_UID: 'u-1',
        OWN: 'image',
      },
    );
    const { stdout } = await other.client.run(
      'env | grep -E "^(KRUNTIME_|OWN)" | sort; ls /proc/self/fd | grep -cE "^[0-9]$"',
      {
        env: { KRUNTIME_RUN_NAME: 'r', OWN: 'run' },
      },
    );
    await other.stop();
    // ls has a fourth descriptor: the folder it lists.
    expect(stdout.replace(/(TREE)=\S+/, '$1')).to.equal(
      'KRUNTIME_POD_UID=u-1\nKRUNTIME_PROCESS_TREE\nKRUNTIME_RUN_NAME=r\nOWN=run\n4\n',
    );
  });

  it('never shows values of the environment in a command line', async () => {
    const { stdout } = await harness.client.run(
      'n=0; for p in /proc/[0-9]*/cmdline; do mapfile -d "" w < "$p"; [[ ${w[*]} == *$WORD$TWO* ]] && n=1; done 2>/dev/null; tr "\\0" " " < /proc/$$/cmdline; echo $n',
      { env: { WORD: 'only-in-', TWO: 'the-environment' } },
    );
    expect(stdout)
      .to.match(/^bash script /)
      .and.match(/0\n$/);
  });
});

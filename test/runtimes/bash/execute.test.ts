import { readFileSync } from 'node:fs';
import { join } from 'node:path';

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
    const { exited, stdout, stderr } = await client.run(
      'echo "$0|$#|$1|$2|$MESSAGE|$PWD"; cat; echo err >&2',
      {
        args: ['a b', '$x'],
        env: { MESSAGE: 'hello' },
      },
    );
    expect(stdout).to.equal(`script|2|a b|$x|hello|${join(client.workDir, 'run-1')}\n`);
    expect(stderr).to.equal('err\n');
    expect(exited).to.include({ code: 0, signal: 0, cause: EndCause.END_CAUSE_EXITED, stdoutDropped: 0 });
  });

  it('is idempotent while it runs, after the end, and not after Forget', async () => {
    const { client } = harness;
    const id = await client.script('echo x >> count; read -r _ < gate');
    client.write(id, 'gate-maker', '');
    const count = (): string => readFileSync(join(client.workDir, id, 'count'), 'utf8');
    expect(await client.execute({ id, workingDir: id, entrypoint: 'script' })).to.deep.equal({ id });
    await client.finish(id);
    await client.execute({ id, workingDir: id, entrypoint: 'script' });
    expect(count()).to.equal('x\n');
    expect((await client.status(id)).state).to.equal(State.STATE_FAILED);
    await client.forget(id);
    expect(await codeOf(client.status(id))).to.equal(5);
    await client.execute({ id, workingDir: id, entrypoint: 'script' });
    await client.finish(id);
    expect(count()).to.equal('x\nx\n');
  });
});

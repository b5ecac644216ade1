/** The end of a release, which is why this file comes after all that use it: what stays when it goes, and what it leaves. */
import { expect } from 'chai';

import { type Installation, projectFile, READY_LIMIT_MS, SYSTEM, theInstallation } from './installation.js';
import { hasNode } from './the-node.js';

describe('uninstalling on a whole node', function () {
  this.timeout(180_000);
  let on: Installation;
  before(async function () {
    if (!hasNode) return this.skip();
    this.timeout(4 * READY_LIMIT_MS);
    on = await theInstallation();
  });

  it('Runs end without an operator, CRDs and objects stay, and a new release takes all up again', async () => {
    await on.plane.create('outlives', { source: { inline: 'sleep 5; echo ok' } });
    await on.plane.whenRun('outlives', ({ status }) => status?.phase === 'Running');
    await on.helm(['uninstall', 'kruntimes', `--namespace=${SYSTEM}`, '--wait', '--timeout=2m']);
    expect((await on.plane.end('outlives', 60_000)).status?.phase).to.equal('Succeeded');
    const operators = ['-n', SYSTEM, '-l', 'app.kubernetes.io/component=controller'];
    await on.kubectl(['wait', '--for=delete', 'pod', ...operators, '--timeout=60s']);
    expect(await on.kubectl(['get', 'pods', ...operators, '-o', 'name'])).to.equal('');
    expect(await on.kubectl(['get', 'runtime', 'bash', '-o', 'name'])).to.equal(
      'runtime.kruntimes.io/bash\n',
    );
    await on.plane.create('waits', { source: { inline: 'echo ok' } });
    await on.helm([
      ...['install', 'kruntimes', projectFile('charts/kruntimes'), `--namespace=${SYSTEM}`],
      ...['--set=images.tag=latest', '--wait', '--timeout=2m'],
    ]);
    expect((await on.plane.end('waits', 90_000)).status?.phase).to.equal('Succeeded');
  });
});

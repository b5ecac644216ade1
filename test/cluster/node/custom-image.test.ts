/** An image of a user's own, FROM kruntimes-bash-runtime with a package more, made and used as docs/installation.md says. */
import { expect } from 'chai';

import { type Installation, projectFile, READY_LIMIT_MS, theInstallation } from './installation.js';
import { hasImage, hasNode } from './the-node.js';

/** The program that the page's Dockerfile installs. */
const SCRIPT = `echo '{"result": "ok"}' | jq -r '"result=" + .result' >> "$KRUNTIME_OUTPUTS"; id -u; touch /x || :`;

describe('an image FROM kruntimes-bash-runtime on a whole node', function () {
  this.timeout(60_000);
  let on: Installation;
  before(async function () {
    if (!hasNode) return this.skip();
    if (!hasImage('custom-runtime')) {
      process.stdout.write(
        '  skipped: an image FROM kruntimes-bash-runtime: no packages of Debian can be had now\n',
      );
      return this.skip();
    }
    this.timeout(4 * READY_LIMIT_MS);
    on = await theInstallation();
    await on.kubectl(
      ['create', '-f', '-'],
      JSON.stringify({
        apiVersion: 'kruntimes.io/v1alpha1',
        kind: 'Runtime',
        metadata: { name: 'custom' },
        spec: {
          replicas: 1,
          template: {
            spec: {
              containers: [
                {
                  name: 'runtime',
                  image: 'custom-runtime:latest',
                  imagePullPolicy: 'Never',
                  securityContext: { readOnlyRootFilesystem: true },
                },
              ],
            },
          },
        },
      }),
    );
    await on.plane.whenReady('custom', 1, READY_LIMIT_MS);
  });
  after(async () => {
    if (on !== undefined) await on.kubectl(['delete', 'runtime', 'custom']);
  });

  const said = (runtime: string) =>
    on.say(process.execPath, [
      projectFile('dist/krt.js'),
      ...['run', '--name', `uses-jq-${runtime}`, '-r', runtime, '--follow', '--', SCRIPT],
    ]);

  it('has its package, the same user, and a root filesystem that may be read-only', async () => {
    const { code, out, err } = await said('custom');
    expect(out).to.equal('65532\n');
    expect(err).to.contain("cannot touch '/x': Read-only file system");
    expect(code).to.equal(0);
    const result = ['get', 'run', 'uses-jq-custom', '-o', 'jsonpath={.status.outputs.result}'];
    expect(await on.kubectl(result)).to.equal('ok');
  });

  it('the image as it ships has no such package, so it is the one that was installed', async () => {
    const { err, code } = await said('bash');
    expect(err).to.contain('jq: command not found');
    expect(code).to.equal(0);
  });

  it('stops at once when it is told to: tini is its process 1, too', async () => {
    const [pod = ''] = (await on.kubectl(['get', 'pods', '-l', 'kruntimes.io/runtime=custom', '-o', 'name']))
      .trim()
      .split('\n');
    const startedMs = performance.now();
    await on.kubectl(['delete', pod, '--wait=true']);
    expect(performance.now() - startedMs, 'milliseconds of a grace of 30 s').to.be.below(15_000);
  });
});

/** The usage guide on a whole node, installed with Helm: its manifests byte for byte, with a stock kubectl and krt. */
import { readFileSync } from 'node:fs';

import { expect } from 'chai';

import { type Installation, projectFile, READY_LIMIT_MS, theInstallation } from './installation.js';
import { hasNode } from './the-node.js';

const guide = (name: string): string => projectFile(`src/demo/guide/${name}`);

describe('the guide on a whole node', function () {
  this.timeout(60_000);
  let on: Installation;
  before(async function () {
    if (!hasNode) return this.skip();
    this.timeout(4 * READY_LIMIT_MS);
    on = await theInstallation();
  });

  const finished = async (name: string): Promise<void> => {
    await on.kubectl(['wait', '--for=condition=Finished', `run/${name}`, '--timeout=50s']);
  };
  const field = (name: string, path: string): Promise<string> =>
    on.kubectl(['get', 'run', name, '-o', `jsonpath={${path}}`]);

  it('the Runtime has two pods of two containers that are ready, and says so', async () => {
    expect(await on.kubectl(['get', 'rt', 'bash', '--no-headers'])).to.match(
      /^bash +kruntimes-bash-runtime:latest +2 +2 +0\/8 /,
    );
    // A pod takes Runs as soon as its session is open; its probes follow.
    await on.kubectl(['wait', '--for=condition=Ready', 'pod', '-l', 'runtime=bash', '--timeout=50s']);
    const pods = await on.kubectl(['get', 'pods', '-l', 'runtime=bash', '--no-headers']);
    expect(pods.trim().split('\n')).to.have.length(2);
    for (const line of pods.trim().split('\n')) expect(line).to.match(/^bash-\w+ +2\/2 +Running +0 /);
  });

  for (const [file, name, line] of [
    ['run.yaml', 'hello', 'hello'],
    ['run-env.yaml', 'env-example', 'hello'],
    ['run-source.yaml', 'script-example', 'hello from source'],
  ] as const)
    it(`${file} succeeds, and krt logs has what it printed`, async () => {
      await on.kubectl(['apply', '-f', guide(file)]);
      await finished(name);
      expect(await field(name, '.status.phase')).to.equal('Succeeded');
      expect(await on.krt(['logs', name])).to.equal(`${line}\n`);
    });

  it('outputs come into the status', async () => {
    await on.krt(['run', '--name', 'outputs', '--wait', '--', 'echo "result=ok" >> "$KRUNTIME_OUTPUTS"']);
    expect(await field('outputs', '.status.outputs.result')).to.equal('ok');
  });

  it('the patch of the guide cancels a Run that executes', async () => {
    await on.kubectl(
      ['create', '-f', '-'],
      readFileSync(guide('run.yaml'), 'utf8')
        .replace('name: hello', 'name: long')
        .replace('echo hello', 'sleep 600'),
    );
    await on.kubectl(['wait', '--for=jsonpath={.status.phase}=Running', 'run/long', '--timeout=30s']);
    await on.kubectl(['patch', 'run', 'long', '--type', 'merge', '-p', '{"spec":{"cancelRequested":true}}']);
    await finished('long');
    expect(await field('long', '.status.phase')).to.equal('Cancelled');
  });

  it("each line is in runtimed's own log, keyed by the Run's uid", async () => {
    const [uid, pod] = [await field('hello', '.metadata.uid'), await field('hello', '.status.assignedPod')];
    const records = (await on.kubectl(['logs', pod, '-c', 'runtimed']))
      .split('\n')
      .filter((line) => line.includes(uid))
      .map((line) => JSON.parse(line))
      .filter(({ stream }) => stream !== undefined);
    expect(records).to.have.length(1);
    expect(records[0]).to.include({ run_uid: uid, run_name: 'hello', stream: 'stdout', message: 'hello' });
  });

  it('a timeout ends as Timeout, by the image as it ships', async () => {
    const { code } = await on.say(process.execPath, [
      projectFile('dist/krt.js'),
      ...['run', '--name', 'slow', '--timeout', '300ms', '--wait', '--', 'sleep 60'],
    ]);
    expect(code).to.equal(124);
    expect(await field('slow', '.status.phase')).to.equal('Timeout');
  });

  it('kubectl scale makes pods and takes them away', async () => {
    await on.kubectl(['scale', 'runtime', 'bash', '--replicas=3']);
    await on.plane.whenReady('bash', 3, READY_LIMIT_MS);
    await on.kubectl(['scale', 'runtime', 'bash', '--replicas=2']);
    await on.plane.whenReady('bash', 2, READY_LIMIT_MS);
  });
});

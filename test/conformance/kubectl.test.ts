/** A stock kubectl against the server: the usage guide's manifests, byte for byte. Skipped where there is no kubectl. */

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';

import type { Target } from './target.js';
import { openTarget } from './target.js';

const bashRuntime = `apiVersion: kruntimes.io/v1alpha1
kind: Runtime
metadata:
  name: bash
spec:
  replicas: 2
  capacity:
    resources:
      runs: 4
  template:
    metadata:
      labels:
        runtime: bash
    spec:
      containers:
        - name: runtime
          image: kruntimes-bash-runtime:latest
          imagePullPolicy: IfNotPresent
          ports:
            - containerPort: 19091
`;
const hello = `apiVersion: kruntimes.io/v1alpha1
kind: Run
metadata:
  name: hello
spec:
  runtime: bash
  source:
    inline: |
      echo hello
  entrypoint: script
`;
const envExample = `apiVersion: kruntimes.io/v1alpha1
kind: Run
metadata:
  name: env-example
spec:
  runtime: bash
  env:
    MESSAGE: hello
  source:
    inline: |
      echo "$MESSAGE"
  entrypoint: script
`;

describe('kubectl', () => {
  let target: Target;
  let folder = '';
  before(async function () {
    if (spawnSync('kubectl', ['version', '--client']).status !== 0) {
      console.log('      no kubectl on this machine: its tests are skipped');
      this.skip();
    }
    target = await openTarget();
    folder = mkdtempSync(join(tmpdir(), 'kruntimes-kubectl-'));
    if (target.caPem !== undefined) writeFileSync(join(folder, 'ca.crt'), target.caPem);
    const trust =
      target.caPem === undefined
        ? 'insecure-skip-tls-verify: true'
        : `certificate-authority: ${join(folder, 'ca.crt')}`;
    writeFileSync(
      join(folder, 'config'),
      `apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: "${target.url}", ${trust}}}]\nusers: [{name: u, user: {token: "${target.token}"}}]\ncontexts: [{name: c, context: {cluster: c, user: u, namespace: default}}]\n`,
    );
    await kubectl(['delete', 'runs,runtimes', '--all']);
  });
  after(async () => {
    if (folder !== '') rmSync(folder, { recursive: true, force: true });
    await target?.close();
  });

  const kubectl = (
    args: readonly string[],
    input = '',
  ): Promise<{ code: number | null; out: string; err: string }> =>
    new Promise((resolve, reject) => {
      const child = spawn('kubectl', args, {
        env: {
          ...process.env,
          KUBECONFIG: join(folder, 'config'),
          KUBECACHEDIR: join(folder, 'cache'),
          HOME: folder,
        },
      });
      let out = '';
      let err = '';
      child.stdout.on('data', (chunk: Buffer) => {
        out += chunk.toString();
      });
      child.stderr.on('data', (chunk: Buffer) => {
        err += chunk.toString();
      });
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, out, err }));
      // Whoever ends without reading it has a reason, which its code tells.
      child.stdin.on('error', () => undefined);
      child.stdin.end(input);
    });
  const ok = async (args: readonly string[], input = ''): Promise<string> => {
    const { code, out, err } = await kubectl(args, input);
    expect(code, `kubectl ${args.join(' ')}: ${err}`).to.equal(0);
    return out;
  };

  it('applies the guide, and again without a change', async () => {
    const all = [bashRuntime, hello, envExample].join('---\n');
    expect(await ok(['apply', '-f', '-'], all)).to.equal(
      'runtime.kruntimes.io/bash created\nrun.kruntimes.io/hello created\nrun.kruntimes.io/env-example created\n',
    );
    expect(await ok(['apply', '-f', '-'], all)).to.equal(
      'runtime.kruntimes.io/bash unchanged\nrun.kruntimes.io/hello unchanged\nrun.kruntimes.io/env-example unchanged\n',
    );
  });

  it('shows tables with the columns of the contract', async () => {
    const runs = await ok(['get', 'runs']);
    expect(
      runs
        .split('\n')[0]
        ?.split(/\s{2,}/)
        .map((text) => text.trim()),
    ).to.deep.equal(['NAME', 'PHASE', 'RUNTIME', 'POD', 'ATTEMPT', 'DURATION', 'AGE']);
    const wide = await ok(['get', 'rn', '-o', 'wide']);
    expect(wide.split('\n')[0]).to.contain('EXIT').and.to.contain('REASON');
    const runtimes = await ok(['get', 'rt']);
    expect(
      runtimes
        .split('\n')[0]
        ?.split(/\s{2,}/)
        .map((text) => text.trim()),
    ).to.deep.equal(['NAME', 'IMAGE', 'REPLICAS', 'READY', 'BUSY', 'AGE']);
    expect(runtimes).to.contain('kruntimes-bash-runtime:latest');
    expect(await ok(['get', 'run', 'hello', '-o', 'jsonpath={.spec.source.inline}'])).to.equal(
      'echo hello\n',
    );
  });

  it('takes the patch of the guide and refuses to take it back', async () => {
    expect(
      await ok(['patch', 'run', 'hello', '--type', 'merge', '-p', '{"spec":{"cancelRequested":true}}']),
    ).to.equal('run.kruntimes.io/hello patched\n');
    const { code, err } = await kubectl([
      'patch',
      'run',
      'hello',
      '--type',
      'merge',
      '-p',
      '{"spec":{"cancelRequested":false}}',
    ]);
    expect(code).to.equal(1);
    expect(err).to.equal(
      'The Run "hello" is invalid: spec.cancelRequested: Invalid value: "object": a request to cancel cannot be withdrawn\n',
    );
  });

  it('waits for a condition', async () => {
    const waiting = ok(['wait', '--for=condition=Finished', 'run/hello', '--timeout=20s']);
    const status = {
      phase: 'Cancelled',
      conditions: [
        {
          type: 'Finished',
          status: 'True',
          reason: 'Cancelled',
          message: '',
          lastTransitionTime: '2026-01-01T00:00:00Z',
        },
      ],
    };
    await ok([
      'patch',
      'run',
      'hello',
      '--subresource=status',
      '--type',
      'merge',
      '-p',
      JSON.stringify({ status }),
    ]);
    expect(await waiting).to.equal('run.kruntimes.io/hello condition met\n');
    expect(await ok(['wait', '--for=jsonpath={.status.phase}=Cancelled', 'run/hello'])).to.contain(
      'condition met',
    );
  });

  it('explains every field', async () => {
    const text = await ok(['explain', 'run.spec', '--recursive']);
    for (const field of ['runtime', 'source', 'inline', 'maxAttempts', 'ttlSecondsAfterFinished'])
      expect(text).to.contain(field);
    expect(await ok(['explain', 'run.spec.timeout'])).to.contain('Longest time of one attempt');
    expect(await ok(['explain', 'pod.spec.containers.env'])).to.match(/name\s+<string> -required-/);
  });

  it('refuses an unknown field by name', async () => {
    const { code, err } = await kubectl(
      ['apply', '-f', '-'],
      hello.replace('entrypoint:', 'entrypiont:').replace('name: hello', 'name: typo'),
    );
    expect(code).to.equal(1);
    expect(err).to.contain('unknown field "spec.entrypiont"');
  });

  it('scales, describes, diffs and dry-runs', async () => {
    expect(await ok(['scale', 'runtime', 'bash', '--replicas=3'])).to.equal(
      'runtime.kruntimes.io/bash scaled\n',
    );
    expect(await ok(['get', 'rt', 'bash', '-o', 'jsonpath={.spec.replicas}'])).to.equal('3');
    expect(await ok(['describe', 'run', 'hello'])).to.contain('Events:');
    const dry = await ok(
      ['apply', '--dry-run=server', '-o', 'name', '-f', '-'],
      hello.replace('name: hello', 'name: never'),
    );
    expect(dry).to.equal('run.kruntimes.io/never\n');
    expect((await kubectl(['get', 'run', 'never'])).err).to.contain('runs.kruntimes.io "never" not found');
    expect((await kubectl(['diff', '-f', '-'], bashRuntime)).code).to.equal(1);
  });

  it('applies on the server, and says who is in the way', async () => {
    const { code, err } = await kubectl(['apply', '--server-side', '-f', '-'], bashRuntime);
    expect(code).to.equal(1);
    expect(err).to.contain(
      'Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using kruntimes.io/v1alpha1: .spec.replicas',
    );
    expect(await ok(['apply', '--server-side', '--force-conflicts', '-f', '-'], bashRuntime)).to.equal(
      'runtime.kruntimes.io/bash serverside-applied\n',
    );
    expect(await ok(['get', 'rt', 'bash', '-o', 'jsonpath={.spec.replicas}'])).to.equal('2');
  });

  it('answers what one may do', async () => {
    expect(await ok(['auth', 'can-i', 'create', 'runs'])).to.equal('yes\n');
    expect((await kubectl(['auth', 'can-i', 'create', 'runs', '--as=nobody'])).out).to.equal('no\n');
  });

  it('creates what it sends in the protobuf form', async () => {
    await kubectl(['delete', 'configmap', 'made', '--ignore-not-found']);
    expect(await ok(['create', 'configmap', 'made', '--from-literal=a=b'])).to.equal(
      'configmap/made created\n',
    );
    expect(await ok(['get', 'cm', 'made', '-o', 'jsonpath={.data.a}'])).to.equal('b');
    await ok([
      'create',
      'role',
      'reader',
      '--verb=get,list',
      '--resource=runs.kruntimes.io',
      '--dry-run=server',
    ]);
  });

  it('labels, watches and deletes', async () => {
    await ok(['label', 'run', 'env-example', 'kind=example']);
    expect(await ok(['get', 'runs', '-l', 'kind=example', '-o', 'name'])).to.equal(
      'run.kruntimes.io/env-example\n',
    );
    expect(
      await ok(['get', 'runs', '--field-selector', 'spec.runtime=bash', '--chunk-size=1', '-o', 'name']),
    ).to.equal('run.kruntimes.io/env-example\nrun.kruntimes.io/hello\n');
    expect(await ok(['get', 'events'])).to.equal('');
    expect(await ok(['delete', 'run', 'env-example'])).to.equal('run.kruntimes.io "env-example" deleted\n');
    expect(await ok(['delete', 'runtime', 'bash', '--cascade=background'])).to.contain('deleted');
    expect(await ok(['delete', 'runs', '--all'])).to.contain('run.kruntimes.io "hello" deleted');
  });
});

/**
 * The charts' NetworkPolicies, enforced on a whole node by kube-router: who may dial the operator and Runtime Pods, and
 * that everything works all the same. The last file, because what kube-router has written into iptables stays.
 */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { expect } from 'chai';

import type { Body } from '../../conformance/target.js';
import type { Running } from '../process.js';
import {
  type Installation,
  projectFile,
  READY_LIMIT_MS,
  restrictedNamespace,
  SYSTEM,
  theInstallation,
} from './installation.js';
import { NODE } from './node-level.js';
import { hasNode } from './the-node.js';

const WALLED = 'walled';
const SESSIONS = 9443;
const OPERATOR_METRICS = 8080;
const RUNTIMED_METRICS = 9090;
const RUNTIMED_PROBES = 9094;

describe('network policies on a whole node', function () {
  this.timeout(180_000);
  let on: Installation;
  let router: Running | undefined;
  before(async function () {
    const program = process.env.CLUSTER_KUBE_ROUTER;
    if (!hasNode || program === undefined) return this.skip();
    this.timeout(6 * READY_LIMIT_MS);
    on = await theInstallation();
    const { machine } = on.node;
    await on.kubectl(['apply', '-f', '-'], JSON.stringify(restrictedNamespace(WALLED)));
    await on.helm([
      ...['install', 'runtimes', projectFile('charts/kruntimes-runtimes'), `--namespace=${WALLED}`],
      ...['--set=images.tag=latest', '--set=runtimes.bash.replicas=1'],
    ]);
    await on.kubectl(['wait', '-n', WALLED, '--for=condition=Ready', 'runtime/bash', '--timeout=110s']);
    await on.kubectl(
      ['create', '-f', '-'],
      [caller('outsider', {}), caller('insider', AS_RUNTIME)].join('\n'),
    );
    await on.kubectl(['wait', '--for=condition=Ready', 'pod/outsider', 'pod/insider', '--timeout=110s']);
    copyFileSync(program, join(machine.folder, 'kube-router'));
    copyFileSync(on.kubeconfig, join(machine.folder, 'router.kubeconfig'));
    router = machine.start('kube-router', [
      '/node/kube-router',
      '--run-firewall=true',
      ...['--run-router=false', '--run-service-proxy=false', '--enable-cni=false'],
      '--kubeconfig=/node/router.kubeconfig',
      `--hostname-override=${NODE}`,
      '--service-cluster-ip-range=10.96.0.0/16',
    ]);
  });
  after(async () => {
    if (on !== undefined) await on.kubectl(['delete', 'pod', 'outsider', 'insider', '--wait=false']);
  });

  const AS_RUNTIME = { 'kruntimes.io/runtime': 'none' };
  /** A pod to dial from. */
  const caller = (name: string, labels: Readonly<Record<string, string>>): string =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            name: 'bash',
            image: 'kruntimes-bash-runtime:latest',
            imagePullPolicy: 'Never',
            command: ['sleep', '100000'],
          },
        ],
      },
    });
  /** Whether a TCP connection from that pod comes about. */
  const reaches = async (from: string, address: string, port: number): Promise<boolean> => {
    const dial = ['timeout', '5', 'bash', '-c', `exec 3<>/dev/tcp/${address}/${port}`];
    return (await on.say('kubectl', ['exec', from, '--', ...dial])).code === 0;
  };
  /** Asks until it is so: nobody tells when the rules are in force. */
  const until = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
    const deadline = performance.now() + 90_000;
    while (!(await isSo())) {
      if (performance.now() > deadline)
        throw new Error(`${what}: not within 90 s; kube-router: ${router?.lastWords()}`);
      await pause(200);
    }
  };
  const addresses = async (namespace: string, selector: string): Promise<ReadonlyArray<string>> =>
    JSON.parse(await on.kubectl(['get', 'pods', '-n', namespace, '-l', selector, '-o', 'json'])).items.map(
      ({ status }: Body) => status.podIP,
    );
  const operators = () => addresses(SYSTEM, 'app.kubernetes.io/component=controller');

  it('only Runtime Pods dial the sessions of the operator; its metrics are open to all unless values say otherwise', async () => {
    for (const address of await operators()) {
      await until(
        'strangers are kept from the sessions',
        async () => !(await reaches('outsider', address, SESSIONS)),
      );
      expect(await reaches('insider', address, SESSIONS), 'a pod of a Runtime').to.equal(true);
      expect(await reaches('outsider', address, OPERATOR_METRICS), 'metrics').to.equal(true);
    }
  });

  it('nobody dials Runtime Pods of the chart but for metrics', async () => {
    const [walled = ''] = await addresses(WALLED, 'kruntimes.io/runtime=bash');
    await until('strangers are kept out', async () => !(await reaches('outsider', walled, RUNTIMED_PROBES)));
    expect(await reaches('insider', walled, RUNTIMED_PROBES), 'another pod of a Runtime').to.equal(false);
    expect(await reaches('outsider', walled, RUNTIMED_METRICS), 'metrics').to.equal(true);
    // One that was written by hand has no policy: what is refused above is refused by it.
    const [open = ''] = await addresses('default', 'kruntimes.io/runtime=bash');
    expect(await reaches('outsider', open, RUNTIMED_PROBES), 'a pod without a policy').to.equal(true);
  });

  it('new pods open their sessions, Runs, logs and both helm tests work behind the walls', async () => {
    await on.kubectl(['delete', 'pod', '-n', WALLED, '-l', 'kruntimes.io/runtime=bash']);
    await on.kubectl(['wait', '-n', WALLED, '--for=condition=Ready', 'runtime/bash', '--timeout=110s']);
    await on.krt(['-n', WALLED, 'run', '--name', 'behind', '-r', 'bash', '--wait', '--', 'echo behind']);
    expect(await on.krt(['-n', WALLED, 'logs', 'behind'])).to.equal('behind\n');
    await on.helm(['test', 'runtimes', `--namespace=${WALLED}`, '--timeout=100s']);
    await on.helm(['test', 'kruntimes', `--namespace=${SYSTEM}`, '--timeout=100s']);
  });
});

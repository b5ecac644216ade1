/**
 * Session certificates from cert-manager instead of the operator's own CA, on a whole node: the release is switched to
 * them and back under load, and they are renewed without a gap. cert-manager's controllers run beside the cluster.
 */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from 'node:tls';

import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';

import type { Body } from '../../conformance/target.js';
import { foreignCrds } from '../foreign-crds.js';
import { type Running, run } from '../process.js';
import { type Installation, projectFile, READY_LIMIT_MS, SYSTEM, theInstallation } from './installation.js';
import { hasNode } from './the-node.js';

const HOST = `kruntimes-sessions.${SYSTEM}.svc`;
const issuers = '/apis/cert-manager.io/v1';

/** A CA of the cluster's own, as many have it. */
const authority: ReadonlyArray<object> = [
  {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Issuer',
    metadata: { name: 'root' },
    spec: { selfSigned: {} },
  },
  {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Certificate',
    metadata: { name: 'internal-ca' },
    spec: {
      isCA: true,
      commonName: 'internal',
      secretName: 'internal-ca',
      privateKey: { algorithm: 'ECDSA', size: 256, rotationPolicy: 'Always' },
      issuerRef: { name: 'root' },
    },
  },
  {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Issuer',
    metadata: { name: 'internal' },
    spec: { ca: { secretName: 'internal-ca' } },
  },
];

describe('session certificates of cert-manager on a whole node', function () {
  this.timeout(240_000);
  let on: Installation;
  let certManager: Running | undefined;
  before(async function () {
    const program = process.env.CLUSTER_CERT_MANAGER;
    if (!hasNode || program === undefined) return this.skip();
    this.timeout(4 * READY_LIMIT_MS);
    const crds = foreignCrds();
    if (E.isLeft(crds)) {
      process.stdout.write(`  skipped: session certificates of cert-manager: ${crds.left}\n`);
      return this.skip();
    }
    on = await theInstallation();
    await make(crds.right);
    for (const plural of ['certificates', 'certificaterequests', 'issuers', 'clusterissuers'])
      await until(
        `${plural} are served`,
        async () => (await on.node.api.call('GET', `${issuers}/${plural}`)).code === 200,
      );
    const { folder } = on.node.machine;
    certManager = run(program, [on.kubeconfig], join(folder, 'cert-manager.log'));
    await make(authority);
    await on.kubectl([...here, 'wait', '--for=condition=Ready', 'issuer/internal', '--timeout=60s']);
  });
  after(() => certManager?.end('SIGKILL'));

  const here = ['-n', SYSTEM];
  const make = async (objects: ReadonlyArray<object>): Promise<void> => {
    await on.kubectl([...here, 'create', '-f', '-'], objects.map((one) => JSON.stringify(one)).join('\n'));
  };
  /** Asks until it is so: neither controllers nor kubelets tell when they are done. */
  const until = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
    const deadline = performance.now() + 120_000;
    while (!(await isSo())) {
      if (performance.now() > deadline)
        throw new Error(`${what}: not within 120 s; cert-manager: ${certManager?.lastWords()}`);
      await pause(200);
    }
  };
  const upgrade = (...sets: ReadonlyArray<string>): Promise<string> =>
    on.helm([
      ...['upgrade', 'kruntimes', projectFile('charts/kruntimes'), `--namespace=${SYSTEM}`],
      ...['--set=images.tag=latest', ...sets, '--wait', '--timeout=3m'],
    ]);
  const json = async (...args: ReadonlyArray<string>): Promise<Body> =>
    JSON.parse(await on.kubectl([...args, '-o', 'json']));
  /** What the CA signed that each operator shows, by its pod's name; rejects when a pod's own TLS would refuse it. */
  const shown = async (): Promise<ReadonlyMap<string, string>> => {
    const { data } = await json(...here, 'get', 'secret', 'internal-ca');
    const ca = Buffer.from(data['tls.crt'], 'base64').toString();
    const { items } = await json(...here, 'get', 'pods', '-l', 'app.kubernetes.io/component=controller');
    const serials = new Map<string, string>();
    for (const { metadata, status } of items) {
      if (metadata.deletionTimestamp !== undefined) continue;
      const socket = connect({ host: status.podIP, port: 9443, ca, servername: HOST, ALPNProtocols: ['h2'] });
      await once(socket, 'secureConnect');
      serials.set(metadata.name, socket.getPeerCertificate().serialNumber);
      socket.destroy();
    }
    return serials;
  };
  const podNames = async (): Promise<string> =>
    on.kubectl(['get', 'pods', '-l', 'runtime=bash', '-o', 'name', '--sort-by=.metadata.name']);
  const startLong = async (name: string): Promise<void> => {
    await on.plane.create(name, { source: { inline: 'sleep 8; echo ok' } });
    await on.plane.whenRun(name, ({ status }) => status?.phase === 'Running', 60_000);
  };
  const endedAtOnce = async (name: string): Promise<void> => {
    const { status } = await on.plane.end(name, 90_000);
    expect([status?.phase, status?.attempt]).to.deep.equal(['Succeeded', 1]);
  };
  const whenRolledOut = async (before: string): Promise<void> => {
    for (const pod of before.trim().split('\n'))
      await on.kubectl(['wait', '--for=delete', pod, '--timeout=120s']);
    await on.plane.whenReady('bash', 2, READY_LIMIT_MS);
  };

  it('a release is switched to them, and pods are replaced without failing a Run', async () => {
    const before = await podNames();
    await startLong('switched');
    await upgrade('--set=sessions.tls.mode=certManager,sessions.tls.certManager.issuerRef.name=internal');
    await endedAtOnce('switched');
    await whenRolledOut(before);
    expect((await shown()).size).to.equal(2);
  });

  it('a renewed one is shown by both operators, and sessions and pods stay', async () => {
    const pods = await podNames();
    const before = await shown();
    await startLong('renewed');
    // As `cmctl renew` does it.
    const path = `${issuers}/namespaces/${SYSTEM}/certificates/kruntimes-sessions`;
    const { body } = await on.node.api.call('GET', path);
    const issuing = { type: 'Issuing', status: 'True', reason: 'ManuallyTriggered', message: 'by a test' };
    const conditions = [
      ...body.status.conditions,
      { ...issuing, lastTransitionTime: `${new Date().toISOString().slice(0, 19)}Z` },
    ];
    const { code } = await on.node.api.call(
      'PATCH',
      `${path}/status`,
      { status: { conditions } },
      { type: 'application/merge-patch+json' },
    );
    expect(code).to.equal(200);
    await until('both operators show the new certificate', async () => {
      const now = await shown();
      return [...before].every(([name, serial]) => now.has(name) && now.get(name) !== serial);
    });
    const { data } = await json(...here, 'get', 'secret', 'kruntimes-sessions-tls');
    const { serialNumber } = new X509Certificate(Buffer.from(data['tls.crt'], 'base64'));
    expect(new Set((await shown()).values())).to.deep.equal(new Set([serialNumber]));
    await endedAtOnce('renewed');
    await startLong('afterwards');
    await endedAtOnce('afterwards');
    expect(await podNames()).to.equal(pods);
  });

  it('and back to the CA of its own', async () => {
    const before = await podNames();
    await startLong('back');
    await upgrade('--set=sessions.tls.mode=own');
    await endedAtOnce('back');
    await whenRolledOut(before);
  });
});

/**
 * Artifacts on a claim, and their end when no Runtime Pod has the claim any more: a pod made for it removes them, in a
 * namespace that enforces the restricted Pod Security Standard.
 */
import { chmodSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import { filter, firstValueFrom, map, timeout } from 'rxjs';

import { pods } from '../../../src/model/resources.js';
import type { Body } from '../../conformance/target.js';
import { type Installation, READY_LIMIT_MS, restrictedNamespace, theInstallation } from './installation.js';
import { hasNode } from './the-node.js';

const NAMESPACE = 'archive';
const CLEANERS = 'app.kubernetes.io/name=kruntimes-artifact-cleanup';

/** The claim, and a volume for it alone: a folder of the node. */
const claim: ReadonlyArray<object> = [
  {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'archive' },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteMany'],
      persistentVolumeReclaimPolicy: 'Retain',
      storageClassName: '',
      claimRef: { namespace: NAMESPACE, name: 'artifacts' },
      hostPath: { path: '/node/archive', type: 'Directory' },
    },
  },
  {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'artifacts' },
    spec: {
      accessModes: ['ReadWriteMany'],
      storageClassName: '',
      volumeName: 'archive',
      resources: { requests: { storage: '1Gi' } },
    },
  },
];
const restricted = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
const runtime = {
  apiVersion: 'kruntimes.io/v1alpha1',
  kind: 'Runtime',
  metadata: { name: 'keeper' },
  spec: {
    replicas: 1,
    artifactStore: { driver: 'filesystem', filesystem: { volumeClaimName: 'artifacts' } },
    template: {
      spec: {
        // That it is not there is no matter, as the image is.
        imagePullSecrets: [{ name: 'registry' }],
        tolerations: [{ key: 'batch', operator: 'Exists', effect: 'NoSchedule' }],
        securityContext: {
          runAsNonRoot: true,
          runAsUser: 65532,
          seccompProfile: { type: 'RuntimeDefault' },
        },
        containers: [
          {
            name: 'runtime',
            image: 'kruntimes-bash-runtime:latest',
            imagePullPolicy: 'Never',
            securityContext: restricted,
          },
        ],
      },
    },
  },
};

describe('artifacts on a claim of a whole node', function () {
  this.timeout(180_000);
  let on: Installation;
  let folder: string;
  before(async function () {
    if (!hasNode) return this.skip();
    this.timeout(4 * READY_LIMIT_MS);
    on = await theInstallation();
    folder = join(on.node.machine.folder, 'archive');
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    await on.kubectl(['apply', '-f', '-'], JSON.stringify(restrictedNamespace(NAMESPACE)));
    await make([...claim, runtime]);
    await on.kubectl([...here, 'wait', '--for=condition=Ready', 'runtime/keeper', '--timeout=110s']);
  });
  after(async () => {
    if (on !== undefined) await on.kubectl(['delete', 'namespace', NAMESPACE, '--wait=false']);
  });

  const here = ['-n', NAMESPACE];
  const make = async (objects: ReadonlyArray<object>): Promise<void> => {
    await on.kubectl([...here, 'create', '-f', '-'], objects.map((one) => JSON.stringify(one)).join('\n'));
  };
  const run = async (name: string): Promise<Body> => {
    await on.krt([...here, 'run', '--name', name, '-r', 'keeper', '--wait', '--', WRITES]);
    return JSON.parse(await on.kubectl([...here, 'get', 'run', name, '-o', 'json']));
  };
  const WRITES = 'mkdir -p "$KRUNTIME_ARTIFACTS_DIR/a"; echo body > "$KRUNTIME_ARTIFACTS_DIR/a/result.txt"';
  /** Folders of Runs that there are. */
  const kept = (): ReadonlyArray<string> =>
    readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) =>
      entry.isFile() ? [join(entry.parentPath, entry.name).slice(folder.length)] : [],
    );
  const versions = () =>
    on.plane.kube
      .watch(
        pods,
        { namespace: NAMESPACE, labelSelector: CLEANERS },
        { resourceVersion: '0', timeoutSeconds: 170, idleMs: 170_000 },
      )
      .pipe(
        map(
          (frame): Body =>
            E.isRight(frame) && frame.right.type === 'ADDED' ? frame.right.object : undefined,
        ),
        filter((pod) => pod !== undefined),
        timeout({ first: 120_000 }),
      );

  it('a Run records what its artifacts need to be found again, and a pod that has the claim removes them', async () => {
    const { status, metadata } = await run('first');
    expect(status.artifactStores).to.deep.equal([
      {
        driver: 'filesystem',
        filesystem: { volumeClaimName: 'artifacts' },
        runAsUser: 65532,
        imagePullSecrets: [{ name: 'registry' }],
        tolerations: [{ key: 'batch', operator: 'Exists', effect: 'NoSchedule' }],
      },
    ]);
    expect(kept().filter((path) => path.includes(metadata.uid))).to.not.deep.equal([]);
    await on.kubectl([...here, 'delete', 'run', 'first', '--timeout=60s']);
    expect(kept().filter((path) => path.includes(metadata.uid))).to.deep.equal([]);
    expect(await on.kubectl([...here, 'get', 'pods', '-l', CLEANERS, '-o', 'name'])).to.equal('');
  });

  it('without a Runtime a pod made for it removes them, and goes when there is nothing left to do', async () => {
    const { metadata } = await run('second');
    await on.kubectl([...here, 'delete', 'runtime', 'keeper']);
    await on.kubectl([
      ...here,
      ...['wait', '--for=delete', 'pod', '-l', 'kruntimes.io/runtime=keeper', '--timeout=60s'],
    ]);
    expect(kept().filter((path) => path.includes(metadata.uid))).to.not.deep.equal([]);
    const making = firstValueFrom(versions());
    await on.kubectl([...here, 'delete', 'run', 'second', '--wait=false']);
    const pod = await making;
    expect(pod.spec.imagePullSecrets).to.deep.equal([{ name: 'registry' }]);
    expect(pod.spec.tolerations).to.deep.include({ key: 'batch', operator: 'Exists', effect: 'NoSchedule' });
    await on.kubectl([...here, 'wait', '--for=delete', 'run/second', '--timeout=90s']);
    expect(kept().filter((path) => path.includes(metadata.uid))).to.deep.equal([]);
    await on.kubectl([...here, 'wait', '--for=delete', `pod/${pod.metadata.name}`, '--timeout=90s']);
  });
});

/** A control plane with a Runtime `stored` of one pod, which keeps its artifacts and logs in the bucket of a server. */
import { readFileSync } from 'node:fs';

import { runtimes, secrets } from '../../src/model/resources.js';
import { answer, type ControlPlane, startControlPlane } from '../e2e/control-plane.js';
import type { StoreServer } from './servers.js';

/** Starts it; Runtime bash, of one pod, is there as well. */
export const startStoredPlane = async (server: StoreServer): Promise<ControlPlane> => {
  const plane = await startControlPlane({ replicas: 1 });
  if (Object.keys(server.secret).length > 0)
    await answer(
      plane.kube.create(secrets, 'default', {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 's3-key' },
        stringData: server.secret,
      }),
    );
  await answer(
    plane.kube.create(runtimes, 'default', {
      apiVersion: 'kruntimes.io/v1alpha1',
      kind: 'Runtime',
      metadata: { name: 'stored' },
      spec: {
        replicas: 1,
        artifactStore: server.settings,
        template: { spec: { containers: [{ name: 'runtime', image: 'kruntimes-bash-runtime:latest' }] } },
      },
    }),
  );
  await plane.whenReady('stored', 1, 60_000);
  return plane;
};

/** Pid of the runtimed of Runtime `stored`. */
export const runtimedOf = (plane: ControlPlane): number => {
  const [pid] = plane
    .pidsOf('runtimed.js')
    .filter((each) => readFileSync(`/proc/${each}/environ`, 'utf8').includes('KRUNTIME_RUNTIME=stored'));
  if (pid === undefined) throw new Error('runtimed of Runtime stored does not run');
  return pid;
};

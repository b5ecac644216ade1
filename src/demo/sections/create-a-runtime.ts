/** Guide: Create a Runtime. */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { firstValueFrom } from 'rxjs';

import { pods } from '../../model/resources.js';
import type { Section } from '../scene.js';

const RuntimePod = t.type({
  metadata: t.type({ name: t.string, labels: t.record(t.string, t.string) }),
  spec: t.type({ containers: t.array(t.type({ name: t.string })) }),
});

export const createARuntime: Section = {
  title: 'Create a Runtime',
  says: 'A Runtime defines a pool of warm Runtime Pods.',
  play: async ({ apply, check, witness, narrator, client, krt }) => {
    const startedMs = performance.now();
    const applied = await apply('runtime.yaml');
    check('the manifest is accepted as it is', applied.ended.code === 0, applied.ended.output);
    const { object: runtime, atMs } = await witness.runtime(
      'bash',
      ({ status }) => (status?.readyReplicas ?? 0) === 2,
    );
    narrator.fact('both pods are ready, counted from the start of the command above', atMs - startedMs);
    check('spec.replicas: 2 pods', runtime.status?.replicas === 2, runtime.status);
    check(
      'spec.capacity.resources.runs: 4 each, 8 in all',
      runtime.status?.capacity?.runs === 8,
      runtime.status?.capacity,
    );
    const list = await firstValueFrom(
      client.list(pods, { namespace: 'default', labelSelector: 'runtime=bash' }),
    );
    const found = E.isRight(list) ? list.right.items.map((item) => RuntimePod.decode(item)) : [];
    check(
      'spec.template: its label and its container are in the pods, and runtimed beside it',
      found.length === 2 &&
        found.every(
          (pod) =>
            E.isRight(pod) &&
            pod.right.metadata.labels.runtime === 'bash' &&
            pod.right.spec.containers.map(({ name }) => name).join() === 'runtime,runtimed',
        ),
      list,
    );
    await krt(['runtime', 'list']);
  },
};

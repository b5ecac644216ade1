/** Many Runs in a control plane of the bench's own: made, watched, timed. */
import * as E from 'fp-ts/lib/Either.js';

import { runs, runtimes } from '../../../src/model/resources.js';
import type { KubePort } from '../../../src/ports.js';
import { answer } from '../../e2e/attach.js';
import { closedLoop } from '../load.js';

const NAMESPACE = 'default';

/** A Runtime whose pods no kubelet takes: they are bound to a node that is none. */
export const createFleetRuntime = async (
  kube: KubePort,
  name: string,
  replicas: number,
  slots: number,
): Promise<void> => {
  await answer(
    kube.create(runtimes, NAMESPACE, {
      apiVersion: 'kruntimes.io/v1alpha1',
      kind: 'Runtime',
      metadata: { name },
      spec: {
        replicas,
        capacity: { resources: { runs: slots } },
        template: {
          metadata: { labels: { runtime: name } },
          spec: {
            nodeName: 'simulated',
            containers: [{ name: 'runtime', image: 'simulated', ports: [{ containerPort: 19091 }] }],
          },
        },
      },
    }),
  );
};

/** Creates so many Runs, `width` at a time. */
export const createRuns = async (
  kube: KubePort,
  runtime: string,
  count: number,
  width: number,
  nameOf: (index: number) => string,
  spec: Readonly<Record<string, unknown>> = {},
): Promise<void> => {
  await closedLoop(count, width, async (index) => {
    await answer(
      kube.create(runs, NAMESPACE, {
        apiVersion: 'kruntimes.io/v1alpha1',
        kind: 'Run',
        metadata: { name: nameOf(index) },
        spec: { runtime, source: { inline: 'echo hello' }, entrypoint: 'script', ...spec },
      }),
    );
  });
};

/** Creates finished Runs: what a history looks like. No operator touches them. */
export const createFinishedRuns = async (
  kube: KubePort,
  namespace: string,
  count: number,
  width: number,
  nameOf: (index: number) => string,
): Promise<void> => {
  await closedLoop(count, width, async (index) => {
    const name = nameOf(index);
    await answer(
      kube.create(runs, namespace, {
        apiVersion: 'kruntimes.io/v1alpha1',
        kind: 'Run',
        metadata: { name, labels: { 'kruntimes.io/bench': 'retained' } },
        spec: { runtime: 'bench-nobody', source: { inline: 'echo hello' }, entrypoint: 'script' },
      }),
    );
    const at = new Date().toISOString();
    await answer(
      kube.patch(
        runs,
        { namespace, name },
        {
          type: 'merge',
          body: {
            status: {
              phase: 'Succeeded',
              assignedPod: 'bench-nobody-00000',
              assignedPodUID: '00000000-0000-4000-8000-000000000000',
              attempt: 1,
              scheduledTime: at,
              startTime: at,
              completionTime: at,
              exitCode: 0,
              conditions: ['Scheduled', 'Running', 'Completed', 'Finished'].map((type) => ({
                type,
                status: 'True',
                reason: 'Succeeded',
                message: '',
                lastTransitionTime: `${at.slice(0, 19)}Z`,
              })),
            },
          },
        },
        { subresource: 'status' },
      ),
    );
  });
};

/** Milliseconds from the create request until the Run is seen in one of the phases, each alone. */
export const probe = async (
  kube: KubePort,
  runtime: string,
  names: ReadonlyArray<string>,
  isThere: (phase: string) => boolean,
): Promise<ReadonlyArray<number>> => {
  const { resourceVersion } = await answer(kube.list(runs, { namespace: NAMESPACE }, { limit: 1 }));
  let wanted = '';
  let arrived: () => void = () => undefined;
  const watching = kube
    .watch(
      runs,
      { namespace: NAMESPACE, fieldSelector: `spec.runtime=${runtime}` },
      { resourceVersion, timeoutSeconds: 3_600, idleMs: 3_600_000 },
    )
    .subscribe((frame) => {
      if (E.isLeft(frame) || frame.right.type === 'BOOKMARK') return;
      const { metadata, status } = frame.right.object as {
        metadata: { name: string };
        status?: { phase?: string };
      };
      if (metadata.name === wanted && isThere(status?.phase ?? 'Pending')) arrived();
    });
  const took: number[] = [];
  for (const name of names) {
    wanted = name;
    const there = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const began = performance.now();
    await createRuns(kube, runtime, 1, 1, () => name);
    await there;
    took.push(performance.now() - began);
  }
  watching.unsubscribe();
  return took;
};

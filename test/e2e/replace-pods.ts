/** Deletes Runtime Pods, and waits until others have taken their place. */
import * as t from 'io-ts';
import { filter, firstValueFrom, scan, timeout } from 'rxjs';

import { pods } from '../../src/model/resources.js';
import { informer } from '../../streams/watch/informer.js';
import { answer, type ControlPlane } from './control-plane.js';

const RuntimePod = t.type({
  metadata: t.type({ name: t.string, namespace: t.string, resourceVersion: t.string }),
  status: t.partial({ conditions: t.array(t.type({ type: t.string, status: t.string })) }),
});

/** Deletes those of a Runtime, or all; resolves when they are gone and another one is ready. */
export const replacePods = async (
  plane: ControlPlane,
  options: Parameters<ControlPlane['kube']['delete']>[2] = {},
  runtime?: string,
): Promise<void> => {
  const selection = {
    namespace: 'default',
    labelSelector: runtime === undefined ? 'kruntimes.io/runtime' : `kruntimes.io/runtime=${runtime}`,
  };
  const { items } = await answer(plane.kube.list(pods, selection));
  const names = new Set(
    (items as ReadonlyArray<t.TypeOf<typeof RuntimePod>>).map(({ metadata }) => metadata.name),
  );
  const isReplaced = firstValueFrom(
    informer(plane.kube, pods, selection, RuntimePod, { random: Math.random }).pipe(
      scan(
        ({ left, ready }, event) => {
          if (event.kind === 'Delete') return { left: left.filter((key) => key !== event.key), ready };
          if (event.kind !== 'Apply') return { left, ready };
          const { metadata, status } = event.object;
          const isReady = status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;
          return { left, ready: ready || (isReady && !names.has(metadata.name)) };
        },
        { left: [...names].map((name) => `default/${name}`), ready: false },
      ),
      filter(({ left, ready }) => left.length === 0 && ready),
      timeout({ first: 60_000 }),
    ),
  );
  for (const name of names) await answer(plane.kube.delete(pods, { namespace: 'default', name }, options));
  await isReplaced;
};

/**
 * The Runtime that a new control plane comes with: the guide's own `bash`, byte for byte as `kubectl apply` would
 * leave it, so that applying the guide's manifest later changes nothing.
 */
import * as E from 'fp-ts/lib/Either.js';
import { firstValueFrom } from 'rxjs';

import type { EffectError } from '../../model/effect-error.js';
import { runtimes } from '../../model/resources.js';
import type { KubePort } from '../../ports.js';

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

type Json = string | number | boolean | null | ReadonlyArray<Json> | { readonly [key: string]: Json };

const manifest: Readonly<Record<'apiVersion' | 'kind' | 'metadata' | 'spec', Json>> = {
  apiVersion: 'kruntimes.io/v1alpha1',
  kind: 'Runtime',
  metadata: { name: 'bash' },
  spec: {
    replicas: 2,
    capacity: { resources: { runs: 4 } },
    template: {
      metadata: { labels: { runtime: 'bash' } },
      spec: {
        containers: [
          {
            name: 'runtime',
            image: 'kruntimes-bash-runtime:latest',
            imagePullPolicy: 'IfNotPresent',
            ports: [{ containerPort: 19091 }],
          },
        ],
      },
    },
  },
};

const sorted = (value: Json): Json => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
};

/** The object as `kubectl apply -n default` creates it, annotation included. */
const appliedBashRuntime = (): Readonly<Record<string, unknown>> => {
  // kubectl writes the object with its namespace and with empty annotations, keys sorted, and a newline.
  const lastApplied = `${JSON.stringify(
    sorted({ ...manifest, metadata: { annotations: {}, name: 'bash', namespace: 'default' } }),
  )}\n`;
  return {
    ...manifest,
    metadata: { name: 'bash', namespace: 'default', annotations: { [LAST_APPLIED]: lastApplied } },
  };
};

/** Creates it; one that is there already is left alone. */
export const putBashRuntime = async (kube: KubePort): Promise<E.Either<EffectError, void>> => {
  const created = await firstValueFrom(
    kube.create(runtimes, 'default', appliedBashRuntime(), { fieldManager: 'kubectl-client-side-apply' }),
  );
  if (E.isRight(created) || created.left.kind === 'AlreadyExists') return E.right(undefined);
  return created;
};

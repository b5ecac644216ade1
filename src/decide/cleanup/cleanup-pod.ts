/**
 * The pod that removes artifacts from a store which no Runtime Pod has at the moment. It mounts what the store needs, the
 * claim or the Secret, is pulled with the Secrets of the pods that stored there and puts up with the same taints, and
 * opens a session; it is no part of any Runtime, has no token for the API and runs nothing of anybody's.
 */
import { type RecordedStore, storePlace } from '../../model/artifact-store.js';
import { CLEANS_KEY, CLEANUP_MODE, RUNTIME_KEY, RUNTIMED_CONTAINER } from '../../model/names.js';
import {
  type PodSettings,
  RESTRICTED,
  SESSION_MOUNT,
  SESSION_TOKEN_VOLUME,
  sessionEnv,
  storeParts,
} from '../pod-template.js';

/** A Secret that is gone must not keep the pod from saying so. */
const optionalSecret = <V extends object>(volume: V) =>
  'secret' in volume ? { ...volume, secret: { ...(volume.secret as object), optional: true } } : volume;

/** The Pod to create. */
export const cleanupPodOf = (
  namespace: string,
  name: string,
  store: RecordedStore,
  settings: PodSettings,
): unknown => {
  const { env, mounts, volumes } = storeParts(store);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      labels: { [RUNTIME_KEY]: '', 'app.kubernetes.io/name': 'kruntimes-artifact-cleanup' },
      annotations: { [CLEANS_KEY]: storePlace(store) },
    },
    spec: {
      automountServiceAccountToken: false,
      ...(store.serviceAccountName === undefined ? {} : { serviceAccountName: store.serviceAccountName }),
      ...(store.imagePullSecrets === undefined ? {} : { imagePullSecrets: store.imagePullSecrets }),
      ...(store.tolerations === undefined ? {} : { tolerations: store.tolerations }),
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 5,
      securityContext: {
        fsGroup: 65532,
        ...(store.runAsUser === undefined ? {} : { runAsUser: store.runAsUser }),
      },
      containers: [
        {
          name: RUNTIMED_CONTAINER,
          image: settings.daemonImage,
          imagePullPolicy: 'IfNotPresent',
          args: [CLEANUP_MODE],
          env: [...sessionEnv(settings), ...env],
          resources: { requests: { cpu: '20m', memory: '64Mi' } },
          securityContext: RESTRICTED,
          volumeMounts: [SESSION_MOUNT, ...mounts],
        },
      ],
      volumes: [SESSION_TOKEN_VOLUME, ...volumes.map(optionalSecret)],
    },
  };
};

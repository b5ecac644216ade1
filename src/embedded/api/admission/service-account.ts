/** A new Pod gets its ServiceAccount, and that account's token mounted unless somebody says no. */
import { forbidden } from '../errors.js';
import type { Json, JsonObject } from '../json.js';
import { arrayOf, isObject, objectOf, textOf } from '../json.js';
import type { KubeObject } from '../object.js';
import type { Store } from '../store/store.js';
import { generatedName } from '../verbs/metadata-rules.js';

const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount';

const tokenVolume = (name: string): JsonObject => ({
  name,
  projected: {
    defaultMode: 420,
    sources: [
      { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      {
        downwardAPI: {
          items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
        },
      },
    ],
  },
});

const withMount =
  (volume: string) =>
  (container: Json): Json => {
    if (!isObject(container)) return container;
    const mounts = arrayOf(container.volumeMounts);
    if (mounts.some((mount) => objectOf(mount).mountPath === mountPath)) return container;
    return { ...container, volumeMounts: [...mounts, { name: volume, readOnly: true, mountPath }] };
  };

/** The Pod with its ServiceAccount settled. Throws 403 when there is no such account. */
export const admitServiceAccount = (store: Store, pod: KubeObject): KubeObject => {
  const spec = objectOf(pod.spec);
  const account = textOf(spec.serviceAccountName) || textOf(spec.serviceAccount) || 'default';
  const namespace = pod.metadata.namespace ?? '';
  const stored = store.head('/serviceaccounts', namespace, account);
  if (stored === undefined) {
    throw forbidden(
      { group: '', plural: 'pods' },
      pod.metadata.name ?? '',
      `error looking up service account ${namespace}/${account}: serviceaccount "${account}" not found`,
    );
  }
  const settled: JsonObject = { ...spec, serviceAccountName: account, serviceAccount: account };
  const automount = spec.automountServiceAccountToken ?? stored.object.automountServiceAccountToken ?? true;
  const volumes = arrayOf(spec.volumes);
  if (automount !== true) return { ...pod, spec: settled };
  const containers = [...arrayOf(spec.containers), ...arrayOf(spec.initContainers)];
  const isMounted = (container: Json): boolean =>
    arrayOf(objectOf(container).volumeMounts).some((mount) => objectOf(mount).mountPath === mountPath);
  if (containers.every(isMounted)) return { ...pod, spec: settled };
  const name = generatedName('kube-api-access-');
  return {
    ...pod,
    spec: {
      ...settled,
      volumes: [...volumes, tokenVolume(name)],
      containers: arrayOf(spec.containers).map(withMount(name)),
      ...(spec.initContainers === undefined
        ? {}
        : { initContainers: arrayOf(spec.initContainers).map(withMount(name)) }),
    },
  };
};

/** How lists and maps of built-in types merge, in strategic merge patches and in server-side apply. */
import type { Schema } from './schema.js';

type Merge = Pick<
  Schema,
  | 'x-kubernetes-list-type'
  | 'x-kubernetes-list-map-keys'
  | 'x-kubernetes-map-type'
  | 'x-kubernetes-patch-strategy'
  | 'x-kubernetes-patch-merge-key'
>;

/** A list keyed by fields; the patch uses the first of them unless told otherwise. */
const map = (...keys: readonly string[]): Merge => ({
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': [...keys],
  'x-kubernetes-patch-strategy': 'merge',
  'x-kubernetes-patch-merge-key': keys[0] ?? '',
});
/** A list keyed by fields in server-side apply, replaced as a whole by a strategic merge patch. */
const appliedMap = (...keys: readonly string[]): Merge => ({
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': [...keys],
});
const set: Merge = { 'x-kubernetes-list-type': 'set', 'x-kubernetes-patch-strategy': 'merge' };
const atomic: Merge = { 'x-kubernetes-list-type': 'atomic' };
/** Merged by a strategic merge patch, but one value in server-side apply. */
const patched = (key: string): Merge => ({
  'x-kubernetes-list-type': 'atomic',
  'x-kubernetes-patch-strategy': 'merge',
  'x-kubernetes-patch-merge-key': key,
});

const podContainer = (type: string): Record<string, Merge> => ({
  [`${type}.env`]: map('name'),
  [`${type}.ports`]: { ...map('containerPort', 'protocol') },
  [`${type}.volumeMounts`]: map('mountPath'),
  [`${type}.volumeDevices`]: map('devicePath'),
  [`${type}.args`]: atomic,
  [`${type}.command`]: atomic,
  [`${type}.envFrom`]: atomic,
  [`${type}.resizePolicy`]: atomic,
});

/** `Type.field` to how it merges; lists that are not named here are replaced as a whole. */
export const listMerges: Readonly<Record<string, Merge>> = {
  'ObjectMeta.finalizers': set,
  'ObjectMeta.ownerReferences': map('uid'),
  'ObjectMeta.managedFields': atomic,
  'PodSpec.containers': map('name'),
  'PodSpec.initContainers': map('name'),
  'PodSpec.ephemeralContainers': map('name'),
  'PodSpec.volumes': { ...map('name'), 'x-kubernetes-patch-strategy': 'merge,retainKeys' },
  'PodSpec.imagePullSecrets': map('name'),
  'PodSpec.hostAliases': map('ip'),
  'PodSpec.topologySpreadConstraints': map('topologyKey', 'whenUnsatisfiable'),
  'PodSpec.resourceClaims': { ...map('name'), 'x-kubernetes-patch-strategy': 'merge,retainKeys' },
  'PodSpec.schedulingGates': map('name'),
  'PodSpec.tolerations': atomic,
  'PodSpec.readinessGates': atomic,
  'PodStatus.conditions': map('type'),
  'PodStatus.podIPs': map('ip'),
  'PodStatus.hostIPs': patched('ip'),
  'PodStatus.containerStatuses': atomic,
  ...podContainer('Container'),
  ...podContainer('EphemeralContainer'),
  'ContainerStatus.volumeMounts': map('mountPath'),
  'ResourceRequirements.claims': appliedMap('name'),
  'Probe.httpHeaders': atomic,
  'ServiceSpec.ports': { ...map('port', 'protocol') },
  'ServiceStatus.conditions': map('type'),
  'ServiceAccount.secrets': map('name'),
  'ServiceAccount.imagePullSecrets': atomic,
  'NodeStatus.addresses': map('type'),
  'NodeStatus.conditions': map('type'),
  'NodeSpec.podCIDRs': set,
  'NodeSpec.taints': atomic,
  'NamespaceStatus.conditions': map('type'),
  'NamespaceSpec.finalizers': atomic,
  'PersistentVolumeClaimStatus.conditions': map('type'),
  'PodDisruptionBudgetStatus.conditions': map('type'),
  'CustomResourceDefinitionStatus.conditions': appliedMap('type'),
  'CustomResourceDefinitionStatus.storedVersions': atomic,
  'LabelSelector.matchExpressions': atomic,
  'PersistentVolumeClaimSpec.accessModes': atomic,
  'Role.rules': atomic,
  'ClusterRole.rules': atomic,
  'RoleBinding.subjects': atomic,
  'ClusterRoleBinding.subjects': atomic,
  'Endpoints.subsets': atomic,
  'JSONSchemaProps.required': atomic,
};

/** The kinds of object we read or write, as Resource values. */
import type { Resource } from './resource.js';

const core = (plural: string, kind: string, namespaced = true): Resource => ({
  group: '',
  version: 'v1',
  plural,
  kind,
  namespaced,
});

const grouped = (
  group: string,
  version: string,
  plural: string,
  kind: string,
  namespaced = true,
): Resource => ({
  group,
  version,
  plural,
  kind,
  namespaced,
});

/** API group of our own kinds. */
export const GROUP = 'kruntimes.io';
/** Version of our own kinds. */
export const VERSION = 'v1alpha1';

export const runs = grouped(GROUP, VERSION, 'runs', 'Run');
export const runtimes = grouped(GROUP, VERSION, 'runtimes', 'Runtime');
export const pods = core('pods', 'Pod');
export const events = core('events', 'Event');
export const nodes = core('nodes', 'Node', false);
export const namespaces = core('namespaces', 'Namespace', false);
export const configMaps = core('configmaps', 'ConfigMap');
export const secrets = core('secrets', 'Secret');
export const serviceAccounts = core('serviceaccounts', 'ServiceAccount');
export const persistentVolumeClaims = core('persistentvolumeclaims', 'PersistentVolumeClaim');
export const leases = grouped('coordination.k8s.io', 'v1', 'leases', 'Lease');
export const roles = grouped('rbac.authorization.k8s.io', 'v1', 'roles', 'Role');
export const roleBindings = grouped('rbac.authorization.k8s.io', 'v1', 'rolebindings', 'RoleBinding');
export const tokenReviews = grouped('authentication.k8s.io', 'v1', 'tokenreviews', 'TokenReview', false);

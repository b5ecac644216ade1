/** The Roles that are there from the start, as on a cluster with the chart installed. */
import { operatorAccount } from '../auth/static-tokens.js';
import type { KubeObject } from '../object.js';

const rbac = 'rbac.authorization.k8s.io';
const apiVersion = `${rbac}/v1`;

type Rule = { verbs: string[]; apiGroups?: string[]; resources?: string[]; nonResourceURLs?: string[] };

const rule = (apiGroups: string[], resources: string[], verbs: string[]): Rule => ({
  apiGroups,
  resources,
  verbs,
});

const clusterRole = (name: string, rules: Rule[]): KubeObject => ({
  apiVersion,
  kind: 'ClusterRole',
  metadata: { name },
  rules,
});

const binding = (name: string, subject: { kind: string; name: string; namespace?: string }): KubeObject => ({
  apiVersion,
  kind: 'ClusterRoleBinding',
  metadata: { name },
  roleRef: { apiGroup: rbac, kind: 'ClusterRole', name },
  subjects: [{ ...subject, ...(subject.kind === 'ServiceAccount' ? {} : { apiGroup: rbac }) }],
});

const all = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const read = ['get', 'list', 'watch'];

/** What the operator needs; the same list as the chart's. */
const operatorRules: Rule[] = [
  rule(['kruntimes.io'], ['runtimes', 'runs'], [...read, 'patch', 'update', 'delete']),
  rule(
    ['kruntimes.io'],
    ['runtimes/status', 'runs/status', 'runtimes/finalizers', 'runs/finalizers'],
    ['get', 'patch', 'update'],
  ),
  rule([''], ['pods'], all),
  rule([''], ['pods/status'], ['get', 'patch', 'update']),
  rule([''], ['events'], ['create', 'patch', 'update']),
  rule(['events.k8s.io'], ['events'], ['create', 'patch', 'update']),
  rule(
    [''],
    ['serviceaccounts', 'configmaps', 'secrets'],
    ['get', 'list', 'watch', 'create', 'patch', 'update'],
  ),
  rule([''], ['nodes', 'namespaces', 'services'], read),
  rule([''], ['persistentvolumeclaims'], [...read, 'create']),
  rule(
    [rbac],
    ['roles', 'rolebindings'],
    [...read, 'create', 'patch', 'update', 'delete', 'bind', 'escalate'],
  ),
  rule(['coordination.k8s.io'], ['leases'], [...read, 'create', 'patch', 'update']),
  rule(['policy'], ['poddisruptionbudgets'], [...read, 'create', 'patch', 'update', 'delete']),
  rule(['authentication.k8s.io'], ['tokenreviews'], ['create']),
];

const workload = [
  'pods',
  'services',
  'endpoints',
  'configmaps',
  'serviceaccounts',
  'events',
  'persistentvolumeclaims',
];

/** ClusterRoles and their bindings. */
export const bootstrapRoles: readonly KubeObject[] = [
  clusterRole('cluster-admin', [rule(['*'], ['*'], ['*']), { verbs: ['*'], nonResourceURLs: ['*'] }]),
  clusterRole('view', [
    rule([''], [...workload, 'pods/log', 'namespaces'], read),
    rule(['kruntimes.io'], ['runtimes', 'runs'], read),
  ]),
  clusterRole('edit', [
    rule([''], [...workload, 'secrets'], all),
    rule([''], ['pods/log', 'pods/portforward'], ['get', 'create']),
    rule(['kruntimes.io'], ['runtimes', 'runs', 'runtimes/scale'], all),
  ]),
  clusterRole('system:basic-user', [
    rule(['authorization.k8s.io'], ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'], ['create']),
    rule(['authentication.k8s.io'], ['selfsubjectreviews'], ['create']),
  ]),
  clusterRole('system:discovery', [
    {
      verbs: ['get'],
      nonResourceURLs: [
        '/api',
        '/api/*',
        '/apis',
        '/apis/*',
        '/healthz',
        '/livez',
        '/openapi',
        '/openapi/*',
        '/readyz',
        '/version',
        '/version/',
      ],
    },
  ]),
  clusterRole('kruntimes-controller', operatorRules),
  binding('cluster-admin', { kind: 'Group', name: 'system:masters' }),
  binding('system:basic-user', { kind: 'Group', name: 'system:authenticated' }),
  binding('system:discovery', { kind: 'Group', name: 'system:authenticated' }),
  binding('kruntimes-controller', { kind: 'ServiceAccount', ...operatorAccount }),
];
